/// <reference lib="dom" />
import { existsSync } from 'node:fs';
import axeCore, { type AxeResults } from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';

/** Debian's, or the one that `CHROMIUM` names. */
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = findChromium();

export function findChromium(): string | undefined {
  return [process.env.CHROMIUM ?? '', ...PLACES].find((path) => existsSync(path));
}

/** Why the tests of the page cannot run here; it stands in the report. */
export const missing =
  executablePath === undefined ? 'no Chromium here: `apt-get install chromium`, or set CHROMIUM' : undefined;

export async function launch(): Promise<Browser> {
  if (executablePath === undefined) throw new Error(missing);
  // Its sandbox does not work for root, as whom continuous integration often runs; it opens our own page only.
  return chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
}

export interface Look {
  readonly width?: number;
  readonly height?: number;
  readonly theme?: 'light' | 'dark';
}

export interface Tab extends AsyncDisposable {
  readonly page: Page;
  /** What the console said, the page threw and the policy refused; answers that are errors aside. */
  readonly complaints: readonly string[];
}

/** A page with nothing in it, in a browser that knows nothing of the others. */
export async function openTab(browser: Browser, baseURL: string, look: Look = {}): Promise<Tab> {
  const { width = 1440, height = 900, theme = 'light' } = look;
  const context = await browser.newContext({
    baseURL,
    viewport: { width, height },
    colorScheme: theme,
    locale: 'en-GB',
    timezoneId: 'Europe/Berlin',
    reducedMotion: 'reduce',
  });
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    // The browser tells of every answer with a status of 400 and more.
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

/** What axe finds, each with the element. It is put in through the debugger, which the page's policy does not bind. */
export async function axe(page: Page): Promise<readonly string[]> {
  await page.evaluate(axeCore.source);
  const { violations } = (await page.evaluate('axe.run()')) as AxeResults;
  return violations.flatMap(({ id, impact, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${impact} ${id}: ${html.slice(0, 200)} ${failureSummary}`),
  );
}
