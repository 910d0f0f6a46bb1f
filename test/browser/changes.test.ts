// biome-ignore-all lint/performance/useDomNodeTextContent: it is Playwright's, and what a person sees is meant
import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { axe } from './chromium.ts';
import { appendRecord, column, describeInChromium, go } from './harness.ts';
import { change, entry, print, typical } from './scene.ts';

/** Returns the sequences of the listed changes, from top to bottom. */
async function sequences(page: Page): Promise<readonly string[]> {
  const links = page.locator('.changes .action');
  return (await links.evaluateAll((all) => all.map((one) => one.getAttribute('href') ?? ''))).map((address) =>
    address.slice('#/changes/'.length),
  );
}

describeInChromium('the list of changes', (visit) => {
  it('shows one row for the records of a change: keys from fingerprint to fingerprint, versions, cause, outcome', async () => {
    await using tab = await visit({ role: 'viewer', at: '/changes?mapping=payments-db' });
    const { page } = tab;
    expect(await sequences(page)).toEqual(['13', '11', '5']);
    const [update, repair] = await column(page, 'Effect');
    expect(update).toMatch(/DB_PASSWORD/);
    expect(update).toMatch(/team-vault: payments\/db 13/);
    expect(await column(page, 'Why')).toEqual([
      'event from ci',
      expect.stringMatching(/^drift/),
      'configuration',
    ]);
    expect(repair).toMatch(/DB_PASSWORD/);
    expect(await column(page, 'Outcome')).toEqual(['ok', 'ok', 'ok']);
    expect(tab.complaints).toEqual([]);
  });

  it('shows equal facts that follow each other as one row with their number', async () => {
    const failure = entry({
      ...{ action: 'refuse', outcome: 'refused', code: 'NOT_OWNED' },
      ...{ mapping: 'search', namespace: 'search', secret: 'elastic' },
    });
    const entries = Array.from({ length: 12 }, () => failure);
    await using tab = await visit({ role: 'viewer', at: '/changes', scene: { ...typical(), entries } });
    expect(await column(tab.page, 'Change')).toEqual([
      expect.stringMatching(/^refuse\s*search\/elastic\s*×12$/),
    ]);
  });

  it('shows the active filters as labels, keeps them in the address, and removes one by a click', async () => {
    await using tab = await visit({ role: 'viewer', at: '/changes' });
    const { page } = tab;
    await page.getByText('Filter', { exact: true }).click();
    await page.getByRole('search').getByLabel('Namespace', { exact: true }).fill('payments');
    await page.getByRole('search').getByLabel('Action').selectOption('update');
    await page.getByRole('button', { name: 'Apply filters' }).click();
    await expect.poll(() => sequences(page)).toEqual(['13']);
    expect(page.url()).toMatch(/#\/changes\?namespace=payments&action=update$/);
    const address = page.url();
    await page.getByRole('link', { name: 'Remove the filter Action update' }).click();
    await expect.poll(() => sequences(page)).toEqual(['13', '11', '5']);
    await page.goto(address);
    await expect.poll(() => sequences(page)).toEqual(['13']);
    await page.getByRole('link', { name: 'Records' }).click();
    await page.getByRole('heading', { level: 1, name: 'Records' }).waitFor();
    expect(await page.getByRole('link', { name: 'Remove the filter Action update' }).count()).toBe(1);
  });

  it('shows only what needs attention: failures, refusals and held changes without a review', async () => {
    await using tab = await visit({ role: 'viewer', at: '/changes' });
    const { page } = tab;
    await page.getByRole('link', { name: 'Need attention' }).click();
    await expect.poll(async () => [...(await sequences(page))]).toEqual(['17', '16', '15', '8']);
    expect(page.url()).toMatch(/state=open$/);
  });

  it('selects and reviews changes by keyboard alone', async () => {
    await using tab = await visit({ role: 'reviewer', at: '/changes?mapping=payments-db' });
    const { page, site } = tab;
    await page.getByRole('checkbox', { name: /^Select update payments\/payments-db/ }).focus();
    for (const key of ['x', 'j', 'j', 'x']) await page.keyboard.press(key);
    const bar = page.getByRole('region', { name: 'Selected changes' });
    expect(await bar.innerText()).toMatch(/^2 changes selected/);
    expect(await axe(page)).toEqual([]);
    await page.keyboard.press('r');
    await page.getByText('2 changes reviewed.').first().waitFor();
    const marks = site.audit.records
      .slice(-2)
      .map(({ action, review, actor }) => [action, review, actor.name]);
    expect(marks).toEqual([
      ['review', { sequence: expect.any(Number), state: 'reviewed' }, 'the-reviewer'],
      ['review', { sequence: expect.any(Number), state: 'reviewed' }, 'the-reviewer'],
    ]);
    expect(
      site.audit.records
        .slice(-2)
        .map(({ review }) => review?.sequence)
        .sort(),
    ).toEqual([13, 5]);
    await expect.poll(() => column(page, 'Review')).toEqual(['reviewed', 'unreviewed', 'reviewed']);
    expect(await bar.count()).toBe(0);
    expect(tab.complaints).toEqual([]);
  });

  it('selects all rows, and a range with Shift, and clears the selection with Escape', async () => {
    await using tab = await visit({ role: 'reviewer', at: '/changes' });
    const { page } = tab;
    const boxes = page.locator('tbody input[type="checkbox"]');
    const total = await boxes.count();
    const bar = page.getByRole('region', { name: 'Selected changes' });
    await boxes.nth(1).click();
    await boxes.nth(4).click({ modifiers: ['Shift'] });
    expect(await bar.innerText()).toMatch(/^4 changes selected/);
    await page.keyboard.press('a');
    expect(await bar.innerText()).toContain(`${total} changes selected`);
    await page.keyboard.press('Escape');
    expect(await bar.count()).toBe(0);
  });

  it('flags changes with a note and a day for the follow-up', async () => {
    await using tab = await visit({ role: 'reviewer', at: '/changes?action=adopt' });
    const { page, site } = tab;
    await page.getByRole('checkbox', { name: /^Select adopt edge\/web-tls/ }).check();
    await page.getByRole('button', { name: 'Flag…' }).click();
    const dialog = page.getByRole('dialog', { name: 'Flag 1 change?' });
    await dialog.getByLabel('Note (optional)').fill('Whose key is this?');
    await dialog.getByLabel('Follow up on (optional)').fill('2026-12-09');
    expect(await axe(page)).toEqual([]);
    await dialog.getByRole('button', { name: 'Flag' }).click();
    await page.getByText('1 change flagged.').first().waitFor();
    expect(site.audit.records.at(-1)).toMatchObject({
      review: { sequence: 7, state: 'flagged', followUp: '2026-12-09' },
      note: 'Whose key is this?',
    });
    await go(page, '/review?show=flagged');
    expect((await column(page, 'Review'))[0]).toMatch(/flagged.*Whose key is this\?.*by 2026-12-09/s);
  });

  it('offers no selection to people who may not review', async () => {
    await using tab = await visit({ role: 'viewer', at: '/changes' });
    expect(await tab.page.locator('main input[type="checkbox"]:not(#auto)').count()).toBe(0);
  });

  it('does not move the list when new changes arrive, and shows them on demand', async () => {
    await using tab = await visit({ role: 'viewer', at: '/changes?mapping=cache' });
    const { page, site } = tab;
    await page.getByText('No change matches these filters.').waitFor();
    await site.audit.append([
      ...change(30, {
        ...{ mapping: 'cache', namespace: 'shop', secret: 'redis-auth', action: 'update' },
        keys: { added: ['password'], changed: [], removed: [] },
        after: print('1d0c7e4b92'),
      }),
    ]);
    await page.getByText('There are newer records.').waitFor();
    expect(await sequences(page)).toEqual([]);
    await page.getByRole('button', { name: 'Show new records' }).click();
    await expect
      .poll(() => column(page, 'Change'))
      .toEqual([expect.stringMatching(/^update\s*shop\/redis-auth/)]);
  });

  it('rows fit on a phone: fifty changes take less than 12,000 pixels', async () => {
    const entries = Array.from({ length: 60 }, (_, n) =>
      change(n, {
        ...{ mapping: `team-${n}`, namespace: `team-${n}`, secret: 'database-credentials', action: 'update' },
        keys: { added: ['NEW_KEY'], changed: ['PASSWORD', 'USERNAME'], removed: [] },
        sources: [{ store: 'team-vault', key: `team-${n}/database`, version: String(n) }],
        after: print('1d0c7e4b92'),
      }),
    ).flat();
    await using tab = await visit({
      ...{ role: 'reviewer', at: '/changes', width: 390, height: 844 },
      scene: { ...typical(), entries },
    });
    const { page } = tab;
    expect((await sequences(page)).length).toBe(50);
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    expect(height).toBeLessThan(12_000);
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBe(0);
  });
});

describeInChromium('the page of a change', (visit) => {
  it('shows who, when, why, the keys with fingerprints, the versions, and links to the records', async () => {
    await using tab = await visit({ role: 'reviewer', at: '/changes/13' });
    const { page } = tab;
    const text = await page.locator('main').innerText();
    expect(text).toMatch(/event from ci/);
    expect(text).toMatch(/DB_PASSWORD/);
    expect(text).toMatch(/payments\/db 13/);
    const records = await page.locator('.record-links a').allInnerTexts();
    expect(records).toEqual(expect.arrayContaining(['#12', '#13']));
    await page.getByRole('button', { name: 'Mark as reviewed' }).click();
    await page.locator('#review .badge.good').waitFor();
    expect(tab.site.audit.records.at(-1)?.review).toMatchObject({ sequence: 13, state: 'reviewed' });
  });

  it('leads from a version to what the version reached, and from an error code to its explanation', async () => {
    await using tab = await visit({ role: 'viewer', at: '/changes/15' });
    const { page } = tab;
    await page.getByRole('link', { name: 'CLUSTER_FORBIDDEN' }).first().click();
    await page.getByRole('heading', { level: 1, name: 'CLUSTER_FORBIDDEN' }).waitFor();
    await page.getByText('The code is also CLUSTER_FORBIDDEN if').waitFor();
    await go(page, '/codes/NO_SUCH_CODE');
    await page.getByText('secretbridge has no error with this code.').waitFor();
    expect(tab.complaints).toEqual([]);
  });

  it('is shown for any record of the change', async () => {
    await using tab = await visit({ role: 'viewer', at: '/changes/12' });
    await tab.page.getByText('DB_PASSWORD').first().waitFor();
    await appendRecord(tab.site);
    await go(tab.page, '/changes/4000');
    expect(await tab.page.getByRole('alert').innerText()).toMatch(/RECORD_MISSING/);
  });
});
