import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe } from 'vitest';
import type { Role } from '../../src/http/identity.ts';
import type { Service } from '../../src/service/service.ts';
import { TOKENS } from '../http/harness.ts';
import { type Look, launch, missing, openTab, type Tab } from './chromium.ts';
import { typical } from './scene.ts';
import { openSite, type Scene, type Site } from './site.ts';

export interface Visit extends AsyncDisposable, Tab {
  readonly site: Site;
}

export interface VisitOptions extends Look {
  readonly scene?: Scene;
  readonly role?: Role;
  /** In place of the parts of the fake one. */
  readonly service?: Partial<Service>;
  /** Behind the `#`. */
  readonly at?: string;
}

/** Tests in one Chromium, which are left out with the reason in their name where there is none. */
export function describeInChromium(
  name: string,
  tests: (visit: (options?: VisitOptions) => Promise<Visit>) => void,
): void {
  describe.skipIf(missing !== undefined)(missing === undefined ? name : `${name} (${missing})`, () => {
    let browser: Browser | undefined;
    beforeAll(async () => {
      browser = await launch();
    });
    afterAll(() => browser?.close());

    tests(async ({ scene = typical(), role, service = {}, at = '/', ...look } = {}) => {
      if (browser === undefined) throw new Error('no browser');
      const site = await openSite(scene, { service });
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
  });
}

/** Keeps the page waiting for these answers until they are released. */
export async function holdUp(page: Page, url: string) {
  const gate = Promise.withResolvers<void>();
  let asked = 0;
  await page.route(url, async (route) => {
    asked += 1;
    await gate.promise;
    await route.continue();
  });
  return { asked: () => asked, release: () => gate.resolve() };
}

/** And waits until the first view is there. */
export async function signIn(page: Page, token: string): Promise<void> {
  await page.getByLabel('Access token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('.view:not([aria-busy]) > :not(.loading)').first().waitFor();
}

/** Goes to another view and waits until it is there. */
export async function go(page: Page, at: string): Promise<void> {
  await page.evaluate((hash) => {
    if (location.hash === `#${hash}`) return undefined;
    location.hash = hash;
    // The view goes at once when the address changes, so that it cannot be taken for the new one.
    return new Promise((resolve) => addEventListener('hashchange', resolve, { once: true }));
  }, at);
  await page.locator('.view:not([aria-busy]) > :not(.loading)').first().waitFor();
}

/** The texts of a column of the only table, from the top. */
export function column(page: Page, title: string): Promise<string[]> {
  return page.locator(`main td[data-title="${title}"], main th[data-title="${title}"]`).allInnerTexts();
}
