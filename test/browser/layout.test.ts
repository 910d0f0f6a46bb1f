import { expect, it } from 'vitest';
import { axe } from './chromium.ts';
import { describeInChromium, go } from './harness.ts';
import { entry, mappingsOf, print, target, typical } from './scene.ts';

const VIEWS = [
  '/',
  '/records',
  '/records?mapping=payments-db&code=NOT_OWNED',
  `/records?fingerprint=${encodeURIComponent(print('4b0f79b1a0'))}`,
  '/records/15',
  '/records/7',
  '/targets/payments/payments-db',
  '/mappings',
  '/mappings/payments-db',
  '/holds',
  '/review',
  '/review?show=flagged',
  '/changes',
  '/changes?state=open',
  '/changes/15',
  '/changes/13',
  '/sources/team-vault/payments%2Fdb?version=12',
  '/people/ann',
  '/graph?store=team-vault',
  '/search?q=payments',
  '/codes/NOT_OWNED',
  '/nowhere',
];

describeInChromium('the web page', (visit) => {
  const TITLE = 'the page has no axe violations and fits at width %i in %s mode';
  // Many views, and axe looks at each of them.
  const timeout = 180_000;
  it.each([[360, 'dark']] as const)(TITLE, { timeout }, isAccessible);
  it.each([
    [360, 'light'],
    [820, 'light'],
    [1440, 'light'],
    [1440, 'dark'],
  ] as const)(TITLE, { timeout, tags: ['long'] }, isAccessible);

  async function isAccessible(width: number, theme: 'light' | 'dark'): Promise<void> {
    await using tab = await visit({ width, theme });
    const { page } = tab;
    expect(await axe(page)).toEqual([]);
    await using inside = await visit({ width, theme, role: 'operator' });
    for (const view of VIEWS) {
      await go(inside.page, view);
      expect(await axe(inside.page), view).toEqual([]);
      expect(await inside.page.evaluate(() => document.documentElement.scrollWidth - innerWidth), view).toBe(
        0,
      );
    }
    await go(inside.page, '/holds');
    await inside.page.getByRole('button', { name: /^Release: delete/ }).click();
    expect(await axe(inside.page)).toEqual([]);
    expect(inside.complaints).toEqual([]);
  }

  it('shows every link of the navigation and the whole role on a phone', async () => {
    await using tab = await visit({ width: 360, role: 'reviewer', namespaces: ['payments'] });
    const cut = await tab.page
      .locator('.top ul, .account .badge, .account button')
      .evaluateAll((all) =>
        all.filter((one) => one.scrollWidth > one.clientWidth).map(({ textContent }) => textContent),
      );
    expect(cut).toEqual([]);
    await tab.page.getByText('You see only what concerns these namespaces: payments.').waitFor();
  });

  it('does not wrap names of usual length', async () => {
    await using tab = await visit({ width: 1440, role: 'operator' });
    for (const view of ['/', '/mappings', '/mappings/payments-db']) {
      await go(tab.page, view);
      const names = await tab.page.locator('main th .name, main td .name').evaluateAll((all) =>
        all.map((one) => {
          const tops = [...one.getClientRects()].map(({ top }) => Math.round(top / 8));
          return { text: one.textContent, lines: new Set(tops).size };
        }),
      );
      const short = names.filter(({ text }) => text.length <= 26);
      expect(short.length, view).toBeGreaterThan(0);
      expect(
        short.filter(({ lines }) => lines > 1),
        view,
      ).toEqual([]);
    }
  });

  it('does not wrap keys of usual length on a phone', async () => {
    await using tab = await visit({ width: 360, role: 'viewer', at: '/records/15' });
    await tab.page.getByText('STRIPE_WEBHOOK').first().waitFor();
    const torn = await tab.page.locator('.facts dt').evaluateAll((all) =>
      all
        .map((one) => {
          const range = document.createRange();
          range.selectNodeContents(one);
          const tops = [...range.getClientRects()].map(({ top }) => Math.round(top / 8));
          return { text: one.textContent, lines: new Set(tops).size };
        })
        .filter(({ text, lines }) => !text.includes(' ') && text.length <= 14 && lines > 1),
    );
    expect(torn).toEqual([]);
  });

  it('shows a target that has not been synced since the service started', async () => {
    const { status, ...rest } = typical();
    const targets = [target('db', 'apps', 'db', { lastSuccess: null, staleSeconds: null })];
    await using tab = await visit({
      role: 'viewer',
      at: '/mappings',
      scene: { ...rest, status: { ...status, targets }, mappings: mappingsOf(targets) },
    });
    await tab.page.getByText('not since the service started').waitFor();
  });

  it('the page fits on a phone even if all names have the maximum length', async () => {
    const long = 'x'.repeat(253);
    const { status, mappings, entries } = typical();
    const mapping = 'm'.repeat(63);
    const stretch = <T extends object>(all: readonly T[]): T[] =>
      all.map((one) => ({
        ...one,
        ...('secret' in one ? { secret: long, namespace: 'n'.repeat(63), mapping } : {}),
        ...('keys' in one && 'actor' in one
          ? {
              actor: { kind: 'operator', name: `system:serviceaccount:${'n'.repeat(63)}:${long}` },
              keys: { added: ['K'.repeat(253)], changed: [`${long}2`], removed: [`${long}3`] },
              note: long,
            }
          : {}),
      }));
    const scene = {
      status: { ...status, targets: stretch(status.targets), held: stretch(status.held) },
      mappings: mappings.map((one, at) => ({
        ...one,
        mapping: at === 0 ? mapping : one.mapping,
        sources: [{ store: 's'.repeat(63), key: long.repeat(2) }],
        targets: stretch(one.targets),
      })),
      entries: stretch(entries),
    };
    for (const width of [360, 1440]) {
      await using tab = await visit({ width, role: 'operator', scene });
      for (const view of [
        '/',
        '/records',
        '/records/15',
        `/targets/${'n'.repeat(63)}/${long}`,
        '/mappings',
        `/mappings/${mapping}`,
        '/holds',
      ]) {
        await go(tab.page, view);
        const over = await tab.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        expect(over, `${width} ${view}`).toBe(0);
      }
    }
  });

  it('the page needs no horizontal scrolling, whatever the width of the window is', {
    tags: ['long'],
  }, async () => {
    const { entries, ...rest } = typical();
    // The longest error code and the longest action.
    const failed = { outcome: 'failed', code: 'CLUSTER_UNAVAILABLE', action: 'configure' } as const;
    const scene = { ...rest, entries: [...entries, entry(failed)] };
    await using tab = await visit({ role: 'operator', scene });
    const { page } = tab;
    for (const view of VIEWS) {
      await go(page, view);
      const over: number[] = [];
      for (let width = 340; width <= 1_400; width += 40) {
        await page.setViewportSize({ width, height: 900 });
        if ((await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) > 0)
          over.push(width);
      }
      expect(over, view).toEqual([]);
    }
  });

  it('formats code in messages as code instead of showing the backticks', async () => {
    const { status, ...rest } = typical();
    const message = 'apps/db: somebody changed it, and `onDrift: report` leaves it so';
    const targets = [
      target('db', 'apps', 'db', { state: 'drifted', code: 'DRIFTED', message, remedy: 'Run `sync`.' }),
    ];
    const problem = {
      ...{ file: 'a.yaml', line: 1, column: 1, path: 'engine', code: 'CONFIG_INVALID' },
      message: 'expected `kind`',
      suggestion: 'did you mean `memory`?',
    };
    const config = { valid: false, problems: [problem], differing: [] };
    await using tab = await visit({
      role: 'viewer',
      scene: { ...rest, status: { ...status, targets, config } },
    });
    await tab.page.getByText('leaves it so').first().waitFor();
    for (const name of ['onDrift: report', 'sync', 'kind', 'memory'])
      expect(await tab.page.locator('code', { hasText: name }).count(), name).toBeGreaterThan(0);
    expect(await tab.page.locator('main').textContent()).not.toContain('`');
  });

  it('the page can be used with the keyboard alone', async () => {
    await using tab = await visit();
    const { page } = tab;
    const focused = () => page.evaluate(() => document.activeElement?.textContent ?? '');
    /** Moves the focus with the Tab key, like a user. */
    async function tabTo(name: string | RegExp): Promise<void> {
      for (let presses = 0; presses < 80; presses += 1) {
        await page.keyboard.press('Tab');
        if ((await focused()).match(name)) return;
      }
      throw new Error(`Tab does not lead to ${name}`);
    }
    // The token field has the focus from the start.
    await page.keyboard.type('operator-b1946ac92492d234');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Health' }).waitFor();
    expect(await focused()).toBe('Overview');

    await page.locator('.brand').focus();
    await page.keyboard.press('Shift+Tab');
    expect(await focused()).toBe('Skip to content');
    await page.keyboard.press('Enter');
    expect(await focused()).toBe('Overview');

    await page.locator('.brand').focus();
    await tabTo(/^Changes$/);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Changes', level: 1 }).waitFor();
    await expect.poll(focused).toBe('Changes');
    await page.getByRole('link', { name: 'Records' }).waitFor();
    await tabTo(/^Records$/);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Records', level: 1 }).waitFor();
    await expect.poll(focused).toBe('Records');
    await page.getByRole('link', { name: '#8', exact: true }).waitFor();
    await tabTo(/^#8$/);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Record 8' }).waitFor();
    await page.getByRole('button', { name: 'Mark as reviewed' }).waitFor();
    await tabTo(/^Mark as reviewed$/);
    await page.keyboard.press('Enter');
    await page.locator('#review .badge.good').waitFor();
    expect(tab.site.audit.records.at(-1)?.review).toEqual({ sequence: 8, state: 'reviewed' });
    // After a review, the focus stays in the form.
    await expect.poll(focused).toBe('Mark as reviewed');

    await page.locator('.brand').focus();
    await tabTo(/^Holds$/);
    await page.keyboard.press('Enter');
    await page.getByText('would be lost').first().waitFor();
    await tabTo(/^Release…$/);
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Tab');
    expect(await focused()).toBe('Release and delete');
    await page.keyboard.press('Enter');
    await page.getByText('Released batch/legacy-jobs').first().waitFor();
    expect(tab.complaints).toEqual([]);
  });

  it('the page has landmarks and headings', async () => {
    await using tab = await visit({ role: 'viewer' });
    const { page } = tab;
    for (const role of ['banner', 'main'] as const) expect(await page.getByRole(role).count()).toBe(1);
    expect(await page.getByRole('navigation', { name: 'Main' }).count()).toBe(1);
    expect(await page.getByRole('link', { name: 'Overview' }).getAttribute('aria-current')).toBe('page');
    const headings = await page.getByRole('heading', { level: 2 }).allInnerTexts();
    expect(headings).toEqual([
      ...['To review', 'Activity', 'Failures', 'Stale targets'],
      ...['Age of Secrets', 'Calls to stores', 'Health', 'Verification'],
    ]);
  });
});
