import { expect, it } from 'vitest';
import { numbered } from '../../../src/audit/postgres/database.ts';
import { openIntentsQuery, recordQuery, reviewsQuery } from '../../../src/audit/records/queries.ts';
import type { Sql } from '../../../src/audit/records/sql.ts';
import { entry } from '../../audit/sample.ts';
import { postgres } from '../services/inject.ts';
import { connect, createDatabase } from './database.ts';

const BATCHES = 40;
const RECORDS = 100;

interface PlanNode {
  readonly 'Relation Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly PlanNode[];
}

/** Returns the number of records that an executed plan read. */
function recordsRead({ Plans: parts = [], ...node }: PlanNode): number {
  const rows = node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0);
  const own = node['Relation Name'] === 'records' ? rows * node['Actual Loops'] : 0;
  return parts.reduce((sum, part) => sum + recordsRead(part), own);
}

it.each<[string, Sql]>([
  ['the intents without an outcome', openIntentsQuery()],
  ['a record', recordQuery(7)],
  ['the reviews of two records', reviewsQuery([7, 8])],
])(
  '%s are found without reading other records, in a log that was never analyzed',
  async (_, { text, values }) => {
    await using database = await createDatabase(postgres());
    await using store = await database.open();
    await database.sql('alter table secretbridge.records set (autovacuum_enabled = false)');
    const records = Array.from({ length: RECORDS }, () => entry());
    for (let n = 0; n < BATCHES; n += 1) await store.append(records);
    for (const attempt of [1, 2, 3]) await store.append([entry({ phase: 'intent', attempt })]);
    await using session = await connect(database);
    const [explained] = (await session.query(`explain (analyze, format json) ${numbered(text)}`, values)) as [
      { readonly 'QUERY PLAN': readonly [{ readonly Plan: PlanNode }] },
    ];
    expect(recordsRead(explained['QUERY PLAN'][0].Plan)).toBeLessThan(10);
  },
);
