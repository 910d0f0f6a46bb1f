import { describe, expect, it } from 'vitest';
import type { Entry } from '../../src/audit/entry.ts';
import { trace } from '../../src/audit/query/trace.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { bare, entry, fingerprint } from './sample.ts';

const read = (key: string, version: string, value: number): Entry =>
  bare({
    action: 'read',
    store: 'vault',
    key,
    sources: [{ store: 'vault', key, version }],
    after: fingerprint(value),
  });
const change = (namespace: string, key: string, version: string): Entry =>
  entry({ namespace, secret: 's', mapping: namespace, sources: [{ store: 'vault', key, version }] });

/**
 * Opens a log in which the value 7 is version 1 of `db` and version 4 of `old/db`. The comment after each record is its
 * sequence number.
 */
async function openStory() {
  const audit = createMemoryAudit();
  await audit.append([
    read('old/db', '4', 7), // 1
    change('a', 'old/db', '4'), // 2
    read('db', '1', 7), // 3
    change('b', 'db', '1'), // 4
    change('c', 'db', '1'), // 5
    read('db', '2', 8), // 6
    change('b', 'db', '2'), // 7
    change('d', 'old/db', '3'), // 8
  ]);
  return audit;
}

const sequences = ({ records }: { records: readonly { sequence: number }[] }) =>
  records.map(({ sequence }) => sequence);

describe('trace of a value', () => {
  it('the trace of a value finds each read of the value, and each change that used a version with this value', async () => {
    await using audit = await openStory();
    const found = await trace(audit, {}, [fingerprint(7)], { limit: 50 });
    expect(sequences(found)).toEqual([5, 4, 3, 2, 1]);
    expect(found.versions).toMatchObject([
      { store: 'vault', key: 'db', version: '1', fingerprint: fingerprint(7) },
      { store: 'vault', key: 'old/db', version: '4' },
    ]);
    expect(found).toMatchObject({ more: false });
    expect(found).not.toHaveProperty('next');
  });

  it('the trace of a value returns the same records in several small pages as in a single large page', async () => {
    await using audit = await openStory();
    const seen: number[] = [];
    for (let cursor: string | undefined; ; ) {
      const page = await trace(audit, {}, [fingerprint(7)], { limit: 2, cursor });
      seen.push(...sequences(page));
      cursor = page.next;
      if (cursor === undefined) break;
    }
    expect(seen).toEqual([5, 4, 3, 2, 1]);
  });

  it('the trace of a value contains only records that match the given filters', async () => {
    await using audit = await openStory();
    const ask = async (filter: Parameters<typeof trace>[1]) =>
      sequences(await trace(audit, filter, [fingerprint(7)], { limit: 50 }));
    expect(await ask({ namespace: 'c' })).toEqual([5]);
    expect(await ask({ key: 'old/db' })).toEqual([2, 1]);
    expect(await ask({ action: 'read' })).toEqual([3, 1]);
    expect(await ask({ store: 'other' })).toEqual([]);
  });

  it('the trace of a value needs a single query to find the fingerprints that were made with several keys', async () => {
    await using audit = await openStory();
    const found = await trace(audit, {}, [fingerprint(7), fingerprint(8)], { limit: 50 });
    expect(sequences(found)).toEqual([7, 6, 5, 4, 3, 2, 1]);
  });

  it('the trace of a value follows a limited number of versions, and reports if there are more versions', async () => {
    await using audit = createMemoryAudit();
    await audit.append(Array.from({ length: 60 }, (_, n) => read(`k${n}`, '1', 7)));
    const found = await trace(audit, {}, [fingerprint(7)], { limit: 100 });
    expect([found.versions.length, found.more, found.records.length]).toEqual([50, true, 60]);
  });

  it('the trace of a value returns nothing for a value that was never read', async () => {
    await using audit = await openStory();
    expect(await trace(audit, {}, [fingerprint(99)], { limit: 5 })).toEqual({
      records: [],
      versions: [],
      more: false,
    });
  });
});
