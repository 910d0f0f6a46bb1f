import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Entry } from '../../src/audit/entry.ts';
import type { LinkedAudit } from '../../src/audit/query/change-links.ts';
import type { Change } from '../../src/audit/query/change-types.ts';
import { limitToNamespaces } from '../../src/audit/query/limited.ts';
import { listChanges } from '../../src/audit/query/list-changes.ts';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import type { RecordFilter } from '../../src/audit/store.ts';
import { HARNESS_INSTANCE, tickingClock } from '../conformance/audit-store.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { temporaryFolder } from './folder.ts';
import { history } from './histories.ts';

async function allChanges(
  audit: LinkedAudit,
  limit: number,
  filter: RecordFilter = {},
): Promise<readonly Change[]> {
  const changes: Change[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await listChanges(audit, { filter }, { limit, cursor });
    expect(page.changes.length).toBeLessThanOrEqual(limit);
    changes.push(...page.changes);
    if (page.next === undefined) return changes;
    cursor = page.next;
  }
}

async function filled(groups: readonly (readonly Entry[])[]) {
  const audit = createMemoryAudit({ clock: tickingClock() });
  for (const group of groups) await audit.append(group);
  return audit;
}

const FILTERS: readonly RecordFilter[] = [
  { mapping: 'm-x' },
  { namespace: 'a', secret: 'y' },
  { store: 's1' },
  { store: 's1', key: 'k1', version: '2' },
  { action: 'read' },
  { action: 'restart' },
  { outcome: 'failed' },
  { review: 'flagged' },
  { actor: 'ann' },
];

it('every record belongs to a change', async () => {
  await fc.assert(
    fc.asyncProperty(history, async (groups) => {
      await using audit = await filled(groups);
      const changes = await allChanges(audit, 1_000);
      const covered = new Set(changes.flatMap(({ records }) => records));
      expect([...covered].sort((a, b) => a - b)).toEqual(audit.records.map(({ sequence }) => sequence));
    }),
    { numRuns: 150 },
  );
});

it('pages of every size contain the same changes, each exactly once', async () => {
  const sizes = fc.tuple(history, fc.integer({ min: 1, max: 7 }), fc.constantFrom({}, ...FILTERS));
  await fc.assert(
    fc.asyncProperty(sizes, async ([groups, limit, filter]) => {
      await using audit = await filled(groups);
      const changes = await allChanges(audit, limit, filter);
      expect(changes).toEqual(await allChanges(audit, 1_000, filter));
      const sequences = changes.map(({ sequence }) => sequence);
      expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => b - a));
    }),
    { numRuns: 150 },
  );
});

it('a limited person sees the changes in the own namespaces only, and no read', async () => {
  await fc.assert(
    fc.asyncProperty(history, async (groups) => {
      await using audit = await filled(groups);
      const changes = await allChanges(limitToNamespaces(audit, ['a']), 3);
      const own = audit.records.filter(({ namespace }) => namespace === 'a');
      const covered = new Set(changes.flatMap(({ records }) => records));
      expect([...covered].sort((a, b) => a - b)).toEqual(own.map(({ sequence }) => sequence));
    }),
    { numRuns: 100 },
  );
});

it('a SQLite store gives the same changes as a list in memory', async () => {
  await using folder = await temporaryFolder();
  let run = 0;
  await fc.assert(
    fc.asyncProperty(history, fc.integer({ min: 1, max: 9 }), async (groups, limit) => {
      run += 1;
      await using memory = createMemoryAudit({
        instance: HARNESS_INSTANCE,
        replica: 'a',
        clock: tickingClock(),
      });
      await using sqlite = await openSqliteAudit({
        ...{ instance: HARNESS_INSTANCE, replica: 'a', clock: tickingClock() },
        path: join(folder.path, `${run}.db`),
      });
      for (const group of groups) {
        await memory.append(group);
        await sqlite.append(group);
      }
      for (const filter of [{}, ...FILTERS])
        expect(await allChanges(sqlite, limit, filter)).toEqual(await allChanges(memory, limit, filter));
    }),
    { numRuns: 12 },
  );
});
