import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openSqliteAudit } from '../../../src/audit/sqlite/sqlite.ts';
import type { AuditStore } from '../../../src/audit/store.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { temporaryFolder } from '../../audit/folder.ts';
import { RECORD_KEYS } from '../../fakes/record-keys.ts';
import type { Database } from '../../integration/audit/database.ts';

export type Row = Record<string, string | number | null>;

/** All tables of an audit database that somebody with write access can change. */
export const TABLES = [
  'records',
  'record_sources',
  'record_fingerprints',
  'record_reviews',
  'spans',
  'targets',
  'open_intents',
  'kept',
  'kept_sources',
  'kept_fingerprints',
  'head',
  'base',
] as const;
export type Tables = Record<(typeof TABLES)[number], Row[]>;

/** An audit database, as the program and as an attacker see it. */
export interface AttackedDatabase extends AsyncDisposable {
  /** Opens the store as the program does. Its records have HMACs. */
  open(replica: string, clock: Clock): Promise<AuditStore>;
  read(): Promise<Tables>;
  /** Replaces all rows, without the store. */
  write(tables: Tables): Promise<void>;
}

const INSTANCE = 'prod';

export async function sqliteDatabase(): Promise<AttackedDatabase> {
  const folder = await temporaryFolder();
  const path = join(folder.path, 'audit.db');
  return {
    open: (replica, clock) =>
      openSqliteAudit({ path, instance: INSTANCE, replica, clock, keys: RECORD_KEYS }),
    async read() {
      const db = new DatabaseSync(path);
      const rowsOf = (table: string) =>
        db
          .prepare(`select * from ${table}`)
          .all()
          .map((row) => ({ ...row }) as Row);
      const tables = Object.fromEntries(TABLES.map((table) => [table, rowsOf(table)])) as Tables;
      db.close();
      return tables;
    },
    async write(tables) {
      const db = new DatabaseSync(path);
      db.exec('pragma synchronous = off; begin');
      for (const table of TABLES) {
        db.exec(`delete from ${table}`);
        for (const row of tables[table]) {
          const names = Object.keys(row);
          const values = names.map(() => '?').join();
          db.prepare(`insert or replace into ${table} (${names.join()}) values (${values})`).run(
            ...Object.values(row),
          );
        }
      }
      db.exec('commit');
      db.close();
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

export function postgresDatabase(database: Database): AttackedDatabase {
  const sql = (text: string) => database.sql(`set search_path = secretbridge; ${text}`);
  return {
    open: (replica, clock) => database.open({ instance: INSTANCE, replica, clock, keys: RECORD_KEYS }),
    async read() {
      const tables: Partial<Tables> = {};
      for (const table of TABLES) {
        const [found] = await sql(`select coalesce(json_agg(t), '[]') as rows from ${table} t`);
        tables[table] = found?.rows as Row[];
      }
      return tables as Tables;
    },
    async write(tables) {
      const statements = TABLES.flatMap((table) => [
        `delete from ${table};`,
        ...tables[table].map(
          (row) =>
            `insert into ${table} (${Object.keys(row).join()}) values (${Object.values(row).map(literal).join()}) on conflict do nothing;`,
        ),
      ]);
      await sql(`begin; ${statements.join('')} commit`);
    },
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

function literal(value: string | number | boolean | null): string {
  if (value === null) return 'null';
  return typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : String(value);
}
