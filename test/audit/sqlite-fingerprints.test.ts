import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';
import { sqliteDialect } from '../../src/audit/sqlite/schema.ts';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import { tickingClock } from '../conformance/audit-store.ts';
import { temporaryFolder } from './folder.ts';
import { bare, entry, fingerprint } from './sample.ts';

/** Positions next to powers of two, where internal blocks could end, and one position far from any of them (3,000). */
const POSITIONS = [1, 2, 1_023, 1_024, 1_025, 2_047, 2_048, 3_000, 4_095, 4_096, 4_097, 8_191, 8_192, 8_193];
const RECORDS = 8_200;
const SOUGHT = fingerprint(7_000);
/** Differs from `SOUGHT` only in its last character. */
const ALIKE = `${SOUGHT.slice(0, -1)}f`;

it('a search for a fingerprint finds it in every part of the log and in every column, but finds no fingerprint with an equal prefix', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'audit.db');
  await using audit = await openSqliteAudit({
    path,
    instance: 'prod',
    replica: 'a',
    clock: tickingClock(),
  });
  const members = [{ before: SOUGHT }, { after: SOUGHT }, { values: { A: SOUGHT, B: ALIKE } }];
  const records = Array.from({ length: RECORDS }, (_, index) => {
    const position = POSITIONS.indexOf(index + 1);
    return position < 0
      ? bare({ after: ALIKE })
      : entry({ values: {}, ...members[position % members.length] });
  });
  await audit.append(records);
  const findSequences = async (page: object) =>
    (await audit.list({ fingerprint: SOUGHT }, { limit: 50, ...page })).map(({ sequence }) => sequence);

  expect(await findSequences({})).toEqual(POSITIONS.toReversed());
  expect(await findSequences({ after: 0 })).toEqual(POSITIONS);
  expect(await findSequences({ after: 1_024, limit: 3 })).toEqual([1_025, 2_047, 2_048]);
  expect(await findSequences({ before: 4_096, limit: 2 })).toEqual([4_095, 3_000]);
  expect(await audit.list({ fingerprint: fingerprint(7_001) }, { limit: 5 })).toEqual([]);

  await audit.prune({ sequence: 1_024, hash: (await audit.get(1_024))?.hash ?? '' });
  expect(await findSequences({ after: 0 })).toEqual(POSITIONS.filter((position) => position > 1_024));
});

it('a search for a fingerprint reads records only through an index', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'audit.db');
  await using _ = await openSqliteAudit({ path, instance: 'prod', replica: 'a', clock: tickingClock() });
  using db = new DatabaseSync(path, { readOnly: true });
  const { text, values } = sqliteDialect.withFingerprint(SOUGHT, { after: 5_000, before: 9_000 });
  const plan = db.prepare(`explain query plan ${text}`).all(...values);
  const steps = plan.map(({ detail }) => String(detail)).filter((detail) => /record/.test(detail));
  expect(steps).toEqual([
    'SEARCH record_fingerprints USING INDEX record_fingerprints_by_value (<expr>=? AND <expr>=?)',
  ]);
});
