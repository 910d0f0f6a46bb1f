import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { positionOf, readRecordDetail } from '../../src/audit/query/record-detail.ts';
import { recordReview } from '../../src/audit/query/review.ts';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import type { AuditStore } from '../../src/audit/store.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { temporaryFolder } from './folder.ts';
import { bare, entry } from './sample.ts';

const detail = (audit: AuditStore, sequence: number) =>
  readRecordDetail(audit, sequence, (of) => positionOf(audit, of));

describe('record detail', () => {
  it('the details of an intent include its outcome, and the details of an outcome include its intent', async () => {
    await using audit = createMemoryAudit();
    await audit.append([
      entry({ phase: 'intent' }),
      entry({ phase: 'intent', secret: 'other' }),
      entry({ phase: 'outcome', outcome: 'failed', code: 'CONFLICT' }),
      entry({ phase: 'intent', attempt: 2 }),
      entry({ phase: 'outcome', attempt: 2 }),
      entry({ phase: 'intent', requestId: 'request-2' }),
    ]);
    const pairs = await Promise.all(
      [1, 2, 3, 4, 5, 6].map(async (sequence) => (await detail(audit, sequence)).counterpart?.sequence),
    );
    expect(pairs).toEqual([3, undefined, 1, 5, 4, undefined]);
  });

  it("the details of a record include the record's latest review and position in the chain", async () => {
    await using audit = createMemoryAudit();
    await audit.append([bare(), bare(), bare()]);
    await recordReview(audit, {
      sequence: 2,
      state: 'flagged',
      actor: { kind: 'cli', name: 'ann' },
      requestId: 'r',
    });
    expect(await detail(audit, 2)).toMatchObject({
      sequence: 2,
      reviewed: { state: 'flagged', by: 'ann' },
      chain: { previous: 1, next: 3, head: 4, fits: true },
    });
    expect((await detail(audit, 1)).chain).toEqual({ next: 2, head: 4, fits: true });
    expect((await detail(audit, 4)).chain).toEqual({ previous: 3, head: 4, fits: true });
    await expect(detail(audit, 5)).rejects.toMatchObject({ code: 'RECORD_MISSING' });
  });

  it('the details of a record report a broken position in the chain if the record or a neighboring record was changed', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'a.db');
    const clock = { now: () => Date.UTC(2027, 0, 1) };
    await using audit = await openSqliteAudit({ path, instance: 'i', replica: 'r', clock });
    await audit.append(Array.from({ length: 6 }, (_, n) => entry({ mapping: `m${n}` })));
    const fits = async () =>
      Promise.all([1, 2, 3, 4, 5, 6].map(async (sequence) => (await detail(audit, sequence)).chain.fits));
    expect(await fits()).toEqual([true, true, true, true, true, true]);
    const other = new DatabaseSync(path);
    other.exec(`update records set record = replace(record, '"m2"', '"mX"') where sequence = 3`);
    other.close();
    // Record 3 no longer links to its predecessor, but record 4 still links to the stored hash of record 3.
    expect(await fits()).toEqual([true, false, false, true, true, true]);
  });
});
