// biome-ignore-all lint/performance/useDomNodeTextContent: it is Playwright's, and what a person sees is meant
import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { axe } from './chromium.ts';
import { column, describeInChromium, go, texts } from './harness.ts';
import { mappingsOf, target, typical } from './scene.ts';

const focusedNode = (page: Page): Promise<string | null | undefined> =>
  page.evaluate(() => document.activeElement?.closest('[data-node]')?.getAttribute('data-node'));

describeInChromium('the pictures', (visit) => {
  it('the overview shows changes over time, with totals that lead to the changes', async () => {
    await using tab = await visit({ role: 'viewer' });
    const { page } = tab;
    const chart = page.getByRole('img', { name: /^Chart over time: / });
    expect(await chart.getAttribute('aria-label')).toMatch(/changes, \d+ failures, \d+ refusals, \d+ held$/);
    await chart.locator('canvas').waitFor();
    await page.getByRole('link', { name: '30d' }).click();
    await page.locator('[aria-label="Time"] [aria-current]', { hasText: '30d' }).waitFor();
    await page
      .locator('.legend')
      .getByRole('link', { name: /^failures/ })
      .click();
    await page.getByRole('heading', { level: 1, name: 'Changes' }).waitFor();
    expect(page.url()).toMatch(/since=30d&outcome=failed$/);
    expect(tab.complaints).toEqual([]);
  });

  it('the overview shows the age of the values by store, and the calls of each store', async () => {
    const { status, ...scene } = typical();
    const stores = status.stores.map((store) => ({ ...store, callsPerHour: 90, expectedCallsPerHour: 40 }));
    await using tab = await visit({ role: 'viewer', scene: { ...scene, status: { ...status, stores } } });
    const { page } = tab;
    const ages = page.getByRole('table', { name: /^Secrets by store/ });
    expect(await ages.getByRole('rowheader').allInnerTexts()).toContain('team-vault');
    const calls = page.getByRole('table', { name: /^Requests to each store/ });
    expect(await calls.getByRole('row', { name: /^team-vault/ }).innerText()).toMatch(/90\s+40/);
    await ages.getByRole('cell').getByRole('link').first().click();
    await page.getByRole('heading', { level: 1, name: /^Source versions of/ }).waitFor();
    expect(await column(page, 'Age')).toEqual(expect.arrayContaining([expect.stringMatching(/day/)]));
  });

  it('the way of a mapping leads from stores to Secrets, and the arrow keys walk along it', async () => {
    await using tab = await visit({ role: 'viewer', at: '/mappings/payments-db' });
    const { page } = tab;
    const graph = page.getByRole('group', { name: 'Stores, mapping, Secrets and workloads' });
    expect(await graph.locator('a[href]').count()).toBeGreaterThan(2);
    await graph.locator('[data-node="mapping:payments-db"] a').focus();
    await page.keyboard.press('ArrowRight');
    expect(await focusedNode(page)).toMatch(/^secret:payments/);
    await page.keyboard.press('ArrowLeft');
    expect(await focusedNode(page)).toBe('mapping:payments-db');
    await page.keyboard.press('ArrowLeft');
    expect(await focusedNode(page)).toMatch(/^store:/);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: /^Store / }).waitFor();
    expect(await axe(page)).toEqual([]);
    await page.locator('[data-node="secret:payments/payments-db"] a').click();
    await page.getByRole('heading', { level: 1, name: 'payments/payments-db' }).waitFor();
    expect(tab.complaints).toEqual([]);
  });
});

describeInChromium('the page of a target', (visit) => {
  it('begins with the present state: state, keys with fingerprints, source versions', async () => {
    await using tab = await visit({ role: 'viewer', at: '/targets/payments/payments-db' });
    const { page } = tab;
    const now = page.getByRole('region', { name: 'Present state' });
    expect(await now.innerText()).toMatch(/^Now synced/);
    expect(await now.innerText()).toMatch(/payments-db.*Last synced.*2 min ago/s);
    expect(await column(page, 'Key')).toEqual(['API_KEY', 'DB_PASSWORD', 'DB_USER']);
    const sources = page.locator('section', { has: page.locator('#versions') });
    expect(await sources.innerText()).toMatch(/team-vault: payments\/db\s*password\s*13/);
    const order = await page.locator('main section > h2, main section > .now-head h2').allInnerTexts();
    expect(order[0]).toMatch(/^Now/);
    expect(order.at(-1)).toBe('History');
  });

  it('names the problem and the remedy of a target that fails, and the hold of one that is held', async () => {
    await using tab = await visit({ role: 'viewer', at: '/targets/billing/stripe' });
    const { page } = tab;
    expect(await page.getByRole('region', { name: 'Present state' }).innerText()).toMatch(
      /CLUSTER_FORBIDDEN.*secretbridge rbac/s,
    );
    await go(page, '/targets/batch/legacy-jobs');
    await page.getByText('A delete of this target waits for a decision').waitFor();
  });
});

describeInChromium('one click', (visit) => {
  it('shows what a version of a source reached', async () => {
    await using tab = await visit({ role: 'viewer', at: '/changes/13' });
    const { page } = tab;
    await page.getByRole('link', { name: '13', exact: true }).first().click();
    await page.getByRole('heading', { level: 1, name: 'team-vault: payments/db, version 13' }).waitFor();
    const reached = page.getByRole('region', { name: 'Have this version now' });
    expect(await reached.innerText()).toMatch(/payments\/payments-db/);
    expect(await texts(page.locator('.timeline > li'))).toEqual(
      expect.arrayContaining([expect.stringMatching(/^update/)]),
    );
  });

  it('shows where a value has been', async () => {
    await using tab = await visit({ role: 'viewer', at: '/changes/15' });
    const { page } = tab;
    await page.locator('.print[title^="Where has"]').first().click();
    await page.getByRole('heading', { level: 1, name: 'Records' }).waitFor();
    expect(page.url()).toMatch(/fingerprint=/);
    expect((await column(page, 'Record')).length).toBeGreaterThan(0);
  });

  it('shows what a person has done', async () => {
    await using tab = await visit({ role: 'viewer', at: '/changes?action=adopt' });
    const { page } = tab;
    await page.getByRole('link', { name: 'ann', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: 'ann' }).waitFor();
    expect((await texts(page.locator('.timeline > li'))).map((text) => /^\w+/.exec(text)?.[0])).toEqual([
      'command',
      'adopt',
    ]);
  });

  it('finds names and notes', async () => {
    await using tab = await visit({ role: 'viewer' });
    const { page } = tab;
    await page.getByRole('searchbox', { name: 'Search' }).fill('payments');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'Search for “payments”' }).waitFor();
    const results = await texts(page.locator('.results li'));
    expect(results).toEqual(expect.arrayContaining([expect.stringMatching(/^mapping\s*payments-db/)]));
    await go(page, '/search?q=OPS-2210');
    await page.locator('.results a').first().click();
    await page.getByRole('heading', { level: 1, name: /^Change/ }).waitFor();
    await go(page, '/search?q=zzzzz');
    await page.getByText('Nothing has this text in its name or note.').waitFor();
    expect(tab.complaints).toEqual([]);
  });

  it('shows when the first value of a target expires, and the channels of messages', async () => {
    const { status, ...scene } = typical();
    const expiresAt = '2026-12-02T00:00:00Z';
    const targets = [target('payments-db', 'payments', 'payments-db', { expiresAt })];
    const mappings = mappingsOf(targets);
    const notify = [
      { name: 'ops', kind: 'slack', state: 'up' as const, lastSuccess: '2026-11-25T08:00:00Z' },
      { name: 'duty', kind: 'email', state: 'degraded' as const, code: 'NOTIFY_FAILED' },
    ];
    await using tab = await visit({
      role: 'viewer',
      scene: { ...scene, mappings, status: { ...status, targets, notify } },
    });
    const { page } = tab;
    const health = page.getByRole('table', { name: 'Health' });
    expect(await health.getByRole('row', { name: /^Messages to ops/ }).innerText()).toContain('last message');
    expect(await health.getByRole('row', { name: /^Messages to duty/ }).innerText()).toContain('degraded');
    await go(page, '/targets/payments/payments-db');
    const now = page.getByRole('region', { name: 'Present state' });
    expect(await now.innerText()).toMatch(/First value expires\s+2 Dec/);
    expect(tab.complaints).toEqual([]);
  });
});
