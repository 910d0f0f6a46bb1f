/// <reference lib="dom" />
import { existsSync } from 'node:fs';
import axeCore, { type AxeResults } from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';
import { PRESENT } from './present.ts';

/**
 * The possible paths of Chromium on Debian. The headless shell comes first, because it takes half the time of the full
 * browser. The environment variable `CHROMIUM` overrides these paths.
 */
const PATHS = [
  '/usr/bin/chromium-headless-shell',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
];
const executablePath = findChromium();

export function findChromium(): string | undefined {
  return [process.env.CHROMIUM ?? '', ...PATHS].find((path) => existsSync(path));
}

/** The reason why the browser tests are skipped. Undefined if a Chromium exists. */
export const skipReason =
  executablePath === undefined
    ? 'no Chromium here: `apt-get install chromium-headless-shell`, or set CHROMIUM'
    : undefined;

export async function launch(): Promise<Browser> {
  if (executablePath === undefined) throw new Error(skipReason);
  // Chromium's sandbox does not work as root, and CI often runs as root. The tests open only our own pages.
  return chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
}

export interface ViewOptions {
  readonly width?: number;
  readonly height?: number;
  readonly theme?: 'light' | 'dark';
}

export interface Tab extends AsyncDisposable {
  readonly page: Page;
  /**
   * Console errors and warnings, uncaught exceptions and policy violations. Messages about failed HTTP requests are
   * left out.
   */
  readonly complaints: readonly string[];
}

/** Opens an empty page in its own browser context. */
export async function openTab(browser: Browser, baseURL: string, look: ViewOptions = {}): Promise<Tab> {
  const { width = 1440, height = 900, theme = 'light' } = look;
  const context = await browser.newContext({
    baseURL,
    viewport: { width, height },
    colorScheme: theme,
    locale: 'en-GB',
    timezoneId: 'Europe/Berlin',
    reducedMotion: 'reduce',
  });
  // Tests of servers may run at the same time, and a CI machine may be slow.
  context.setDefaultTimeout(30_000);
  await context.clock.setSystemTime(PRESENT);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    // Ignore messages about failed requests. The browser logs every response with a status of 400 or more, and the
    // tests provoke such responses.
    if (['error', 'warning'].includes(message.type()) && !/^Failed to load resource/.test(message.text()))
      complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('dialog', (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
      console.error(`policy: ${violatedDirective} ${blockedURI}`),
    );
  });
  return { page, complaints, [Symbol.asyncDispose]: () => context.close() };
}

/**
 * Returns the accessibility violations that axe finds, each with its elements. The debugger injects axe, because the
 * page's content security policy does not restrict the debugger.
 */
export async function axe(page: Page): Promise<readonly string[]> {
  await page.evaluate(axeCore.source);
  const { violations } = (await page.evaluate('axe.run()')) as AxeResults;
  return violations.flatMap(({ id, impact, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${impact} ${id}: ${html.slice(0, 200)} ${failureSummary}`),
  );
}
