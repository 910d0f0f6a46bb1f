import type { ConfigurationChange, ConfigurationParts } from '../store.ts';
import type { AuditDatabase, Query, Transaction } from './database.ts';
import { isOneOf, sql } from './sql.ts';
import type { ConfigurationRow } from './tables.ts';

// The last configuration of each instance, in parts. A change writes only the changed parts. The whole text of ten
// thousand mappings has several megabytes.

/** The row with the hash of all parts. It is the first row, because the names of all other rows start with `PART`. */
const HASH = 'hash';
const PART = 'part/';

/** The number of parts in one statement. */
const BATCH = 500;

/** The number of names in one statement. */
const NAMES = 100;

export async function readConfigurationHash(query: Query, instance: string): Promise<string | undefined> {
  const [row] = await query(
    sql<Content>`select content from configurations where instance = ${instance} and part = ${HASH}`,
  );
  return row?.content;
}

type Content = Pick<ConfigurationRow, 'content'>;

export async function readConfiguration(
  { snapshot }: AuditDatabase,
  instance: string,
): Promise<ConfigurationParts> {
  return snapshot(async (query) => {
    const parts = new Map<string, string>();
    for (let after = HASH; ; ) {
      const page = await query(sql<ConfigurationRow>`select * from configurations
        where instance = ${instance} and part > ${after} order by part limit ${BATCH}`);
      for (const { part, content } of page) parts.set(part.slice(PART.length), content);
      const last = page.at(-1);
      if (last === undefined || page.length < BATCH) return parts;
      after = last.part;
    }
  });
}

/** Returns whether the change starts from the stored configuration. If not, nothing is stored. */
export async function keepConfiguration(
  database: AuditDatabase,
  instance: string,
  { from, hash, parts, removed }: ConfigurationChange,
): Promise<boolean> {
  return database.transact(async (transaction) => {
    const { query } = transaction;
    if (from === undefined) await query(sql`delete from configurations where instance = ${instance}`);
    else if ((await readConfigurationHash(query, instance)) !== from) return false;
    for (let start = 0; start < removed.length; start += NAMES) {
      const names = removed.slice(start, start + NAMES).map((name) => `${PART}${name}`);
      await query(sql`delete from configurations where instance = ${instance} and ${isOneOf('part', names)}`);
    }
    await insert(transaction, rowsOf(instance, hash, parts));
    return true;
  });
}

function* rowsOf(
  instance: string,
  hash: string,
  parts: ConfigurationChange['parts'],
): Iterable<ConfigurationRow> {
  yield { instance, part: HASH, content: hash };
  for (const [name, content] of parts) yield { instance, part: `${PART}${name}`, content };
}

async function insert({ change }: Transaction, all: Iterable<ConfigurationRow>): Promise<void> {
  let configurations: ConfigurationRow[] = [];
  const flush = async (): Promise<void> => {
    if (configurations.length > 0) await change({ rows: { configurations } });
    configurations = [];
  };
  for (const row of all) {
    configurations.push(row);
    if (configurations.length === BATCH) await flush();
  }
  await flush();
}
