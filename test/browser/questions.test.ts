// biome-ignore-all lint/performance/useDomNodeTextContent: it is Playwright's, and what a person sees is meant
import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditStore } from '../../src/audit/store.ts';
import { createAuthenticator } from '../../src/http/auth.ts';
import type { HeldStatus } from '../../src/service/service.ts';
import { STATIC_TOKENS, startTestServer, TOKENS } from '../http/harness.ts';
import { launch, openTab, skipReason } from './chromium.ts';
import { column, signIn, texts } from './harness.ts';
import { fingerprintOf, sourceOf, targetsOf } from './history.ts';
import { openMillionRecords } from './million-records.ts';
import { millionService } from './million-service.ts';
import * as occurrences from './occurrences.ts';
import { presentClock } from './present.ts';

// Twelve questions of an auditor, each answered on the page over a million records.

const MAX_CLICKS = 3;
const MAX_MS = 45_000;
const WRITING_MS = 900_000;
const GLOBAL = { tags: ['long'] };

const held: readonly HeldStatus[] = targetsOf(occurrences.DELETED)
  .slice(1)
  .map((one, n) => ({
    ...{ ...one, id: `hold-${n + 2}`, action: 'delete', reason: 'the mapping was removed' },
    ...{ since: '2026-11-24T09:00:00Z', keys: [{ name: 'DB_PASSWORD', action: 'remove' as const }] },
  }));

/** A person at the page, who counts clicks. */
function personAt(page: Page) {
  let clicks = 0;
  const settle = async () => {
    // The page removes the old view in the next frame.
    await page.evaluate(
      () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))),
    );
    await page.locator('.view:not([aria-busy]) > :not(.loading)').first().waitFor();
  };
  const press = async (control: Locator): Promise<void> => {
    clicks += 1;
    await control.click();
    await settle();
  };
  return {
    clicks: () => clicks,
    press,
    /** Opens a view of the navigation. */
    open: (name: string) => press(page.getByRole('navigation').getByRole('link', { name, exact: true })),
    async search(text: string): Promise<void> {
      clicks += 1;
      await page.getByRole('searchbox', { name: 'Search' }).fill(text);
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { level: 1, name: /^Search for/ }).waitFor();
      await settle();
    },
    /** Fills in filters of the changes, with the keyboard, and applies them. */
    async filter(fields: Readonly<Record<string, string>>): Promise<void> {
      await press(page.getByRole('navigation').getByRole('link', { name: 'Changes', exact: true }));
      await press(page.locator('summary', { hasText: /^Filter$/ }));
      const form = page.getByRole('search', { name: 'Filter records' });
      await form.locator('details').evaluate((details) => details.setAttribute('open', ''));
      for (const [label, value] of Object.entries(fields)) {
        const field = form.getByLabel(label, { exact: true });
        if ((await field.evaluate(({ tagName }) => tagName)) === 'SELECT') await field.selectOption(value);
        else await field.fill(value);
      }
      const address = page.url();
      await press(page.getByRole('button', { name: 'Apply filters' }));
      await expect.poll(() => page.url()).not.toBe(address);
      await settle();
    },
  };
}

type AtPage = ReturnType<typeof personAt>;

describe.skipIf(skipReason !== undefined)(
  `twelve questions of an auditor${skipReason ? ` (${skipReason})` : ''}`,
  GLOBAL,
  () => {
    let browser: Browser | undefined;
    let audit: (AuditStore & AsyncDisposable) | undefined;
    beforeAll(async () => {
      [browser, audit] = [await launch(), await openMillionRecords()];
    }, WRITING_MS);
    afterAll(async () => {
      await browser?.close();
      await audit?.[Symbol.asyncDispose]();
    });

    const question = (text: string, answer: (person: AtPage, page: Page) => Promise<void>): void => {
      it(
        text,
        async () => {
          if (browser === undefined || audit === undefined) throw new Error('nothing is open');
          await using api = await startTestServer({
            auth: createAuthenticator({ tokens: STATIC_TOKENS }),
            audit,
            clock: presentClock(),
            service: millionService(held),
          });
          const url = await api.server.listen('127.0.0.1:0');
          await using tab = await openTab(browser, url);
          tab.page.setDefaultTimeout(MAX_MS);
          await tab.page.goto('/#/');
          await signIn(tab.page, TOKENS.viewer);
          const person = personAt(tab.page);
          await answer(person, tab.page);
          expect(person.clicks()).toBeLessThanOrEqual(MAX_CLICKS);
          expect(tab.complaints).toEqual([]);
        },
        MAX_MS,
      );
    };
    const main = (page: Page) => page.locator('main').innerText();

    question('who released this deletion, and who approved it?', async (person, page) => {
      await person.filter({ Action: 'delete', Secret: `app-${occurrences.DELETED}` });
      expect(await column(page, 'Change')).toHaveLength(1);
      expect(await main(page)).toMatch(/requested by ann.*approved by ravi/s);
    });

    question('which Secrets still hold version 3 of this key?', async (person, page) => {
      const { key } = sourceOf(occurrences.ROLLED_BACK, occurrences.OLD_VERSION);
      await person.search(key);
      await person.press(page.getByRole('link', { name: key, exact: true }));
      // One Secret had the present version, and has an older one again.
      const earlier = page.getByRole('region', { name: 'Had this version' });
      await person.press(earlier.getByRole('link', { name: String(occurrences.OLD_VERSION), exact: true }));
      const now = page.getByRole('region', { name: 'Have this version now' });
      await expect.poll(() => now.getByRole('listitem').allInnerTexts()).toHaveLength(1);
      expect(await now.innerText()).toContain(targetsOf(occurrences.ROLLED_BACK).at(-1)?.namespace);
    });

    question('what changed last Friday between two and three?', async (person, page) => {
      await person.filter({ Since: '2026-11-20T14:00:00Z', Until: '2026-11-20T15:00:00Z' });
      const times = await column(page, 'Time');
      expect(times.length).toBeGreaterThan(20);
      // The browser is in Berlin.
      for (const time of times) expect(time).toMatch(/^20 Nov, 1(5:\d\d:\d\d|6:00:00)/);
    });

    question('what has Ann done this month?', async (person, page) => {
      await person.search('ann');
      await person.press(page.getByRole('link', { name: 'ann', exact: true }));
      await page.getByRole('heading', { level: 1, name: 'ann' }).waitFor();
      const actions = await texts(page.locator('.timeline .action'));
      expect(actions).toEqual(expect.arrayContaining(['rollback', 'request', 'command']));
    });

    question('what did this rotation restart?', async (person, page) => {
      const mapping = `app-${occurrences.RESTARTED}`;
      await person.filter({ Mapping: mapping });
      expect((await column(page, 'Effect'))[0]).toContain(`restarted Deployment ${mapping}`);
    });

    question('which changes of this week have no review?', async (person, page) => {
      await person.filter({ Since: '2026-11-24T09:00:00Z', Review: 'unreviewed' });
      expect((await column(page, 'Review')).filter((state) => state !== '')).toEqual(
        expect.arrayContaining(['unreviewed']),
      );
      expect(await main(page)).toContain(occurrences.REVISION);
    });

    question('what did the outage of the store touch?', async (person, page) => {
      await person.filter({ 'Error code': occurrences.OUTAGE_CODE });
      const rows = (await column(page, 'Change')).join('\n');
      for (const mapping of occurrences.OUTAGE_MAPPINGS)
        expect(rows).toContain(targetsOf(mapping)[0]?.namespace);
    });

    question('which change of the configuration caused this?', async (person, page) => {
      const [changed] = targetsOf(occurrences.RECONFIGURED);
      await person.filter({ Namespace: changed?.namespace ?? '', Secret: changed?.secret ?? '' });
      expect((await column(page, 'Why'))[0]).toContain(`configuration ${occurrences.REVISION}`);
    });

    question('who signed in, and was refused?', async (person, page) => {
      await person.filter({ Action: 'command', Outcome: 'refused' });
      expect(await main(page)).toMatch(new RegExp(`ROLE_MISSING.*${occurrences.STRANGER}`, 's'));
    });

    question('where has this value been?', async (person, page) => {
      await person.filter({ Fingerprint: fingerprintOf('shared') });
      const rows = (await column(page, 'Change')).join('\n');
      for (const mapping of [occurrences.SHARED, occurrences.SHARED + 1])
        expect(rows).toContain(`app-${mapping}`);
    });

    question('what is held now, and why?', async (person, page) => {
      await person.open('Holds');
      expect(await main(page)).toContain('the mapping was removed');
      expect(
        await page.getByRole('listitem').filter({ hasText: 'DB_PASSWORD' }).count(),
      ).toBeGreaterThanOrEqual(4);
    });

    question('which values are older than 90 days?', async (person, page) => {
      await person.press(page.locator('table.heat a[href*="olderThan=90d"]').first());
      await person.press(page.getByRole('link', { name: 'Show older ones too' }));
      await page.getByRole('heading', { level: 1, name: /older than 90d$/ }).waitFor();
      const days = (await column(page, 'Age')).map((text) => Number.parseInt(text, 10));
      expect(days.length).toBeGreaterThan(10);
      expect(Math.min(...days)).toBeGreaterThan(90);
    });
  },
);
