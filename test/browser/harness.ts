import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe } from 'vitest';
import type { Role } from '../../src/core/roles.ts';
import { createAuthenticator } from '../../src/http/auth.ts';
import type { Service } from '../../src/service/service.ts';
import { STATIC_TOKENS, TOKENS } from '../http/harness.ts';
import { launch, openTab, skipReason, type Tab, type ViewOptions } from './chromium.ts';
import { entry, typical } from './scene.ts';
import { openSite, type Scene, type Site } from './site.ts';

export interface PageSession extends AsyncDisposable, Tab {
  readonly site: Site;
}

export interface PageOptions extends ViewOptions {
  readonly scene?: Scene;
  readonly role?: Role;
  /** The namespaces of the tokens. Default: all. */
  readonly namespaces?: readonly string[];
  /** Replaces parts of the fake service. */
  readonly service?: Partial<Service>;
  /** The URL fragment. */
  readonly at?: string;
}

/** Runs tests in one Chromium. Without Chromium, the tests are skipped and their names contain the reason. */
export function describeInChromium(
  name: string,
  tests: (visit: (options?: PageOptions) => Promise<PageSession>) => void,
): void {
  describe.skipIf(skipReason !== undefined)(
    skipReason === undefined ? name : `${name} (${skipReason})`,
    () => {
      let browser: Browser | undefined;
      beforeAll(async () => {
        browser = await launch();
      });
      afterAll(() => browser?.close());

      tests(async ({ scene = typical(), role, namespaces, service = {}, at = '/', ...look } = {}) => {
        if (browser === undefined) throw new Error('no browser');
        const tokens = STATIC_TOKENS.map((token) => ({ ...token, namespaces }));
        const site = await openSite(scene, { service, auth: createAuthenticator({ tokens }) });
        const tab = await openTab(browser, site.url, look);
        await tab.page.goto(`/#${at}`);
        if (role !== undefined) await signIn(tab.page, TOKENS[role]);
        return {
          ...tab,
          site,
          async [Symbol.asyncDispose]() {
            await tab[Symbol.asyncDispose]();
            await site[Symbol.asyncDispose]();
          },
        };
      });
    },
  );
}

/** Delays the responses for a URL until the caller releases them. */
export async function delayResponses(page: Page, url: string) {
  const gate = Promise.withResolvers<void>();
  let requestCount = 0;
  await page.route(url, async (route) => {
    requestCount += 1;
    await gate.promise;
    await route.continue();
  });
  return { requestCount: () => requestCount, release: () => gate.resolve() };
}

/** Signs in and waits for the first view. */
export async function signIn(page: Page, token: string): Promise<void> {
  await page.getByLabel('Access token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('.view:not([aria-busy]) > :not(.loading)').first().waitFor();
}

/** Appends a record, so that the service sends an event to the page. */
export async function appendRecord({ audit }: Site): Promise<void> {
  await audit.append([entry({ store: 'team-vault', key: 'new/one' })]);
}

/** Opens another view and waits for it. */
export async function go(page: Page, at: string): Promise<void> {
  await page.evaluate((hash) => {
    if (location.hash === `#${hash}`) return undefined;
    location.hash = hash;
    // The page removes the old view when the URL changes, so the next locator finds only the new view.
    return new Promise((resolve) => addEventListener('hashchange', resolve, { once: true }));
  }, at);
  await page.locator('.view:not([aria-busy]) > :not(.loading)').first().waitFor();
}

/** Waits for the first of the elements, and returns the texts of all. A title can appear before its data. */
export async function texts(elements: Locator): Promise<string[]> {
  await elements.first().waitFor();
  return elements.allInnerTexts();
}

/** Returns the texts of one column from top to bottom. The page must have exactly one table. */
export function column(page: Page, title: string): Promise<string[]> {
  return texts(page.locator(`main td[data-title="${title}"], main th[data-title="${title}"]`));
}
