import type { DatabaseSync } from 'node:sqlite';
import { otherSchema, unusableStore } from '../errors.ts';
import { SCHEMA_VERSION, tablesOf } from '../records/schema.ts';
import { FINGERPRINT_INDEX } from './dialect.ts';

/** `PRAGMA application_id` of our files: "sbra" in ASCII. */
const APPLICATION_ID = 0x73627261;

const TABLES = tablesOf({
  integer: 'integer',
  text: 'text',
  table: ' strict',
  index: ' strict, without rowid',
  head: ' strict',
  intentColumns: '',
  fingerprintIndex: FINGERPRINT_INDEX,
});

export type FileState = 'empty' | 'ours';

/** Refuses a file of another program, and a file with another schema. */
export function checkFile(db: DatabaseSync): FileState {
  const tables = number(db, 'select count(*) from sqlite_schema');
  const application = number(db, 'pragma application_id');
  if (tables === 0 && application === 0) return 'empty';
  if (application !== APPLICATION_ID) throw unusableStore('it is a SQLite database of another program');
  const version = number(db, 'pragma user_version');
  if (version !== SCHEMA_VERSION) throw otherSchema(version, SCHEMA_VERSION);
  return 'ours';
}

/** Must run in a write transaction. If two processes start together, only one of them then creates the tables. */
export function createTables(db: DatabaseSync): void {
  if (checkFile(db) === 'ours') return;
  db.exec(TABLES);
  db.exec(`pragma application_id = ${APPLICATION_ID}; pragma user_version = ${SCHEMA_VERSION}`);
}

function number(db: DatabaseSync, sql: string): number {
  const [value] = Object.values(db.prepare(sql).get() ?? {});
  return Number(value);
}
