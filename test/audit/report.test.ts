import { describe, expect, it } from 'vitest';
import type { Entry } from '../../src/audit/entry.ts';
import { MAX_ITEMS, report } from '../../src/audit/query/report.ts';
import { recordReview } from '../../src/audit/query/review.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { bare, entry } from './sample.ts';

const DAY = 86_400_000;
const START = Date.parse('2027-01-01T00:00:00Z');
const at = (day: number): string => new Date(START + day * DAY).toISOString();

const read = (key: string, version: string, part: Partial<Entry> = {}): Entry =>
  bare({ action: 'read', store: 'vault', key, sources: [{ store: 'vault', key, version }], ...part });
const failedRead = (key: string): Entry =>
  bare({ action: 'read', store: 'vault', key, outcome: 'failed', code: 'TIMEOUT' });

/** Day 0 is before the reported period, which consists of days 10 to 13. */
async function openStory() {
  const clock = createManualTime(START);
  const audit = createMemoryAudit({ clock });
  const on = async (day: number, ...entries: readonly Entry[]) => {
    clock.set(START + day * DAY);
    await audit.append(entries);
  };
  await on(0, read('db', '1'), entry({ phase: 'outcome' }));
  await on(
    10,
    bare({ action: 'command', note: 'sync db', actor: { kind: 'cli', name: 'ann' } }),
    read('db', '2'),
    read('api', '1'),
    entry({ phase: 'intent' }),
    entry({ phase: 'outcome' }),
  );
  await on(11, failedRead('db'), read('db', '2'), failedRead('db'));
  await on(
    12,
    entry({ action: 'refuse', outcome: 'refused', code: 'NOT_OWNED', secret: 'theirs' }),
    entry({
      action: 'hold',
      outcome: 'held',
      code: 'HELD',
      keys: { added: [], changed: [], removed: ['A'] },
    }),
    entry({ action: 'release', note: 'abc', actor: { kind: 'operator', name: 'bob' } }),
    entry({ action: 'delete', phase: 'outcome', keys: { added: [], changed: [], removed: ['A'] } }),
    bare({ action: 'export', note: 'begins: csv' }),
    bare({ action: 'export', note: 'csv', counts: { records: 4 } }),
    bare({ action: 'configure', note: '1 store' }),
  );
  await recordReview(audit, { sequence: 3, state: 'flagged', note: 'at night?', ...BY });
  await recordReview(audit, { sequence: 7, state: 'reviewed', ...BY });
  return { audit, clock };
}

const BY = { actor: { kind: 'operator', name: 'ann' }, requestId: 'r' } as const;

describe('report', () => {
  it('a report summarizes the reported period, and ignores records from before that period', async () => {
    const { audit } = await openStory();
    await using _ = audit;
    const found = await report(audit, { since: at(9), until: at(13), ages: [] });
    expect(found).toMatchObject({
      since: at(9),
      until: at(13),
      records: 17,
      changes: { total: 2, byAction: { update: 1, delete: 1 } },
      changed: {
        total: 1,
        items: [
          {
            namespace: 'payments',
            secret: 'payments-db',
            changes: 2,
            keys: { added: [], changed: ['DB_PASSWORD'], removed: ['A'] },
            time: at(12),
            sequence: 14,
          },
        ],
      },
      refused: { total: 1, items: [{ code: 'NOT_OWNED', secret: 'theirs', times: 1 }] },
      failed: {
        total: 1,
        items: [{ code: 'TIMEOUT', store: 'vault', key: 'db', times: 2, first: at(11), last: at(11) }],
      },
      held: { total: 1, items: [{ what: 'hold payments/payments-db -A' }] },
      released: { total: 1, items: [{ by: 'bob', what: expect.stringContaining('abc') }] },
      firstRead: { total: 1, items: [{ store: 'vault', key: 'api', time: at(10) }] },
      commands: { total: 1, items: [{ by: 'ann', what: 'sync db', sequence: 3 }] },
      exports: 1,
      configurationChanges: 1,
      review: { unreviewed: 13, reviewed: 1, flagged: 1 },
      flagged: { total: 1, items: [{ sequence: 3, note: 'at night?' }] },
    });
  });

  it('a report counts the failed reads within a failed sweep, but not the sweep itself', async () => {
    await using audit = createMemoryAudit({ clock: createManualTime(START) });
    await audit.append([
      entry({ action: 'refuse', outcome: 'refused', code: 'NOT_OWNED', secret: 'theirs' }),
      bare({ action: 'sweep', outcome: 'failed', counts: { targets: 1, refused: 1 } }),
    ]);
    const { refused, failed } = await report(audit, { since: at(0), until: at(1), ages: [] });
    expect([refused.total, failed.total]).toEqual([1, 0]);
  });

  it('a report counts neither a refused configuration nor a rollback command as a change', async () => {
    await using audit = createMemoryAudit({ clock: createManualTime(START) });
    await audit.append([
      bare({ action: 'configure', note: '1 store' }),
      bare({ action: 'configure', outcome: 'failed', code: 'CONFIG_INVALID', counts: { problems: 1 } }),
      entry({ action: 'rollback', note: 'to record 1' }),
      entry({ phase: 'intent' }),
      entry({ phase: 'outcome' }),
      entry({ action: 'rollback', note: 'to record 1', outcome: 'refused', code: 'VERSION_GONE' }),
    ]);
    const found = await report(audit, { since: at(0), until: at(1), ages: [] });
    expect(found).toMatchObject({
      changes: { total: 1, byAction: { update: 1 } },
      changed: { total: 1, items: [{ changes: 1 }] },
      refused: { total: 1 },
      failed: { total: 1, items: [{ code: 'CONFIG_INVALID' }] },
      commands: { total: 2 },
      configurationChanges: 1,
    });
  });

  it('a report lists sources whose current version was first read too long ago', async () => {
    const { audit } = await openStory();
    await using _ = audit;
    const age = (key: string, days: number) => ({ store: 'vault', key, maxAgeMs: days * DAY });
    const old = async (...ages: readonly ReturnType<typeof age>[]) =>
      (await report(audit, { since: at(9), until: at(20), ages })).notRotated.items;
    // The read on day 11 found the version that was already found on day 10.
    expect(await old(age('db', 9), age('api', 11))).toEqual([
      { store: 'vault', key: 'db', version: '2', since: at(10), days: 10, maxDays: 9 },
    ]);
    expect(await old(age('db', 10), age('nobody', 1))).toEqual([]);
    // If two mappings set a maximum age, the shorter one applies.
    expect(await old(age('db', 90), age('db', 5), age('db', 30))).toMatchObject([{ maxDays: 5 }]);
  });

  it('a report truncates long lists, but counts all their items', async () => {
    await using audit = createMemoryAudit();
    await audit.append(
      Array.from({ length: 1_200 }, (_, n) => entry({ phase: 'outcome', secret: `s${n % 400}` })),
    );
    const found = await report(audit, {
      since: '2020-01-01T00:00:00Z',
      until: '2030-01-01T00:00:00Z',
      ages: [],
    });
    expect([found.records, found.changes.total, found.changed.total, found.changed.items.length]).toEqual([
      1_200,
      1_200,
      400,
      MAX_ITEMS,
    ]);
  });
});
