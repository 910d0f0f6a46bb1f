import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { search } from '../../src/audit/records/search.ts';
import { createSqliteDatabase } from '../../src/audit/sqlite/database.ts';
import { openReader } from '../../src/audit/sqlite/file.ts';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import { verify } from '../../src/audit/verify/verify.ts';
import { ACTIONS, OUTCOMES, REVIEW_STATES } from '../../src/core/words.ts';
import { HARNESS_INSTANCE, tickingClock } from '../conformance/audit-store.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { anyEntry, CODES, name, someFingerprint } from './arbitrary.ts';
import { temporaryFolder } from './folder.ts';

const time = fc
  .integer({ min: 0, max: 60 })
  .map((n) => new Date(Date.UTC(2026, 10, 25, 12, 0, n)).toISOString());
const filter = fc.record(
  {
    since: time,
    until: time,
    actor: fc.oneof(name, fc.constantFrom('cli', 'schedule')),
    mapping: name,
    namespace: name,
    secret: name,
    store: name,
    key: name,
    version: name,
    action: fc.constantFrom(...ACTIONS),
    phase: fc.constantFrom('intent', 'outcome'),
    instance: fc.constantFrom(HARNESS_INSTANCE, 'other'),
    outcome: fc.constantFrom(...OUTCOMES),
    code: fc.constantFrom(...CODES),
    request: name,
    fingerprint: someFingerprint,
    attention: fc.constant(true as const),
    review: fc.constantFrom(...REVIEW_STATES),
  },
  { requiredKeys: [] },
);

/** Small sizes of the search window, so that the search of a short log needs several windows. */
const WINDOWS = [1, 2, 7];

it('a SQLite store answers every query like a list in memory, and its chain stays intact', async () => {
  await using folder = await temporaryFolder();
  let run = 0;
  const batches = fc.array(fc.array(anyEntry, { maxLength: 8 }), { maxLength: 6 });
  // Combines only a few conditions, so that records match.
  const question = fc
    .tuple(filter, fc.nat(16), fc.nat(5))
    .map(([all, skip, take]) => Object.fromEntries(Object.entries(all).slice(skip, skip + take)));
  const questions = fc.array(question, { minLength: 20, maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(batches, questions, fc.integer({ min: 1, max: 20 }), async (groups, filters, limit) => {
      run += 1;
      const path = join(folder.path, `${run}.db`);
      const options = { instance: HARNESS_INSTANCE, replica: 'a' };
      await using sqlite = await openSqliteAudit({ ...options, path, clock: tickingClock() });
      await using memory = createMemoryAudit({ ...options, clock: tickingClock() });
      for (const group of groups.filter(({ length }) => length > 0)) {
        expect(await sqlite.append(group)).toEqual(await memory.append(group));
      }
      const file = await openReader(path, 1_000);
      const database = createSqliteDatabase(file, (work) => work());
      for (const query of filters) {
        const page = { limit, before: 1 + memory.records.length };
        expect([query, await sqlite.list(query, page)]).toEqual([query, await memory.list(query, page)]);
        const up = { limit, after: limit - 3 };
        expect([query, await sqlite.list(query, up)]).toEqual([query, await memory.list(query, up)]);
        for (const window of WINDOWS)
          for (const part of [page, up]) {
            const found = await search(database, query, part, undefined, window);
            const hashes = (await memory.list(query, part)).map(({ hash }) => hash);
            expect(found.map(({ hash }) => hash)).toEqual(hashes);
          }
        const newest = await memory.latest(query, ['read', 'update']);
        expect(await sqlite.latest(query, ['read', 'update'])).toEqual(newest);
      }
      await file.close();
      await using other = await openSqliteAudit({ ...options, replica: 'b', path, clock: tickingClock() });
      await sqlite[Symbol.asyncDispose]();
      await memory[Symbol.asyncDispose]();
      expect(await other.unresolvedIntents()).toEqual(await memory.another('b').unresolvedIntents());
      expect(await verify(other.storedRecords(1), { until: await other.head() })).toMatchObject({
        kind: 'intact',
      });
    }),
    { numRuns: 15 },
  );
});
