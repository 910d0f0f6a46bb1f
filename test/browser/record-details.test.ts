// biome-ignore-all lint/performance/useDomNodeTextContent: Playwright's `innerText` returns the visible text
import { expect, it } from 'vitest';
import { column, describeInChromium, go } from './harness.ts';
import { change, entry, typical } from './scene.ts';

const DB = { mapping: 'payments-db', namespace: 'payments', secret: 'payments-db' } as const;
const READ = { action: 'read', store: 'team-vault', key: 'payments/db', note: 'definition 1' } as const;
const SINCE = '2026-11-24T08:09:15.000Z';
const FIELDS = [
  { path: 'mappings.payments-db.refresh', before: '5m', after: '10m' },
  { path: 'mappings.payments-db.target.labels.team', after: 'payments' },
  { path: 'stores.old', before: '{"kind":"files"}' },
];

const SCENE = {
  ...typical(),
  entries: [
    entry({
      ...{ action: 'configure', note: 'mappings: 1 changed (payments-db)', revision: '4f2c9a0' },
      ...{ changes: FIELDS, configHash: 'c0'.repeat(32), counts: { changesLeftOut: 7 } },
    }),
    ...change(1, { ...DB, action: 'update', note: 'source versions, label team' }),
    ...change(2, { ...DB, action: 'update' }),
    entry({ ...READ, outcome: 'failed', code: 'ACCESS_DENIED', count: 1, since: SINCE }),
    entry({
      ...{ ...READ, count: 288, since: SINCE },
      sources: [{ store: 'team-vault', key: 'payments/db', version: '13' }],
    }),
  ],
};

describeInChromium('what records say about a change', (visit) => {
  it('the list shows the changed fields of a configuration, the changes without data, and folded reads', async () => {
    await using tab = await visit({ role: 'viewer', at: '/records', scene: SCENE });
    const [read, failed, bare, , noted, , configured] = await column(tab.page, 'Changes');
    expect(read).toMatch(/version 13\s*288 failed reads since 24 Nov/);
    expect(failed).toBe('');
    expect(bare).toBe('no data changed');
    expect(noted).toMatch(/source versions, label team/);
    expect(configured).toMatch(
      /refresh: 5m → 10m\s*mappings.payments-db.target.labels.team: none → payments\s*and 8 more/,
    );
    expect(tab.complaints).toEqual([]);
  });

  it('the record view shows all changed fields of a configuration with its hash and revision', async () => {
    await using tab = await visit({ role: 'viewer', at: '/records/1', scene: SCENE });
    const { page } = tab;
    const fields = page.locator('section', { has: page.locator('#fields') });
    expect(await fields.locator('li').allInnerTexts()).toEqual([
      'mappings.payments-db.refresh: 5m → 10m',
      'mappings.payments-db.target.labels.team: none → payments',
      'stores.old: {"kind":"files"} → none',
    ]);
    expect(await fields.innerText()).toContain('7 other fields changed too.');
    const details = await page.locator('.halves').innerText();
    expect(details).toMatch(/Revision\s*4f2c9a0/);
    expect(details).toContain('c0'.repeat(32));
    await go(page, '/records/7');
    expect(await page.locator('.halves').innerText()).toMatch(/Failed reads\s*288\s*Failing since\s*24 Nov/);
    expect(tab.complaints).toEqual([]);
  });

  it('the history of a target shows what changed in an update without new data', async () => {
    await using tab = await visit({ role: 'viewer', at: '/targets/payments/payments-db', scene: SCENE });
    const [bare, noted] = await tab.page.locator('.timeline > li').allInnerTexts();
    expect(bare).toContain('no data changed');
    expect(noted).toContain('source versions, label team');
  });
});
