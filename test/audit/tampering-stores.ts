import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import type { AuditStore } from '../../src/audit/store.ts';
import { readExport } from '../../src/audit/verify/export-file.ts';
import { readVerifyInput, type VerifyReport, verifyWithEvidence } from '../../src/audit/verify/verify.ts';
import { entries, type Original, type Row, type Rows, type Tampering } from './tamperings.ts';

export const TABLES = [
  'records',
  'record_sources',
  'record_fingerprints',
  'head',
  'base',
  'record_reviews',
  'spans',
] as const;

const TIME = Date.parse('2026-11-25T12:00:00.000Z');

/** The rows that a real store would write. */
export async function originalIn(folder: string): Promise<Original> {
  const make = async (name: string, instance: string, time: number): Promise<Rows> => {
    const path = join(folder, `${name}.db`);
    {
      await using store = await openSqliteAudit({
        path,
        instance,
        replica: name,
        clock: { now: () => time },
      });
      await store.append(entries());
    }
    return readRows(path);
  };
  return {
    rows: await make('original', 'test', TIME),
    others: { foreign: await make('foreign', 'another', TIME), twin: await make('twin', 'test', TIME + 1) },
  };
}

function readRows(path: string): Rows {
  const db = new DatabaseSync(path);
  const all = (table: string) =>
    db
      .prepare(`select * from ${table}`)
      .all()
      .map((row) => ({ ...row })) as Row[];
  const rows = {
    records: all('records'),
    record_sources: all('record_sources'),
    record_fingerprints: all('record_fingerprints'),
    head: all('head'),
    base: all('base'),
    record_reviews: all('record_reviews'),
    spans: all('spans'),
  };
  db.close();
  return rows;
}

/** Replaces the rows in the file of a SQLite store, without using the store. */
export function putRows(path: string, rows: Rows): void {
  const db = new DatabaseSync(path);
  db.exec('pragma synchronous = off; begin');
  for (const table of TABLES) {
    db.exec(`delete from ${table}`);
    for (const row of rows[table]) {
      const names = Object.keys(row);
      db.prepare(`insert into ${table} (${names.join()}) values (${names.map(() => '?').join()})`).run(
        ...Object.values(row),
      );
    }
  }
  db.exec('commit');
  db.close();
}

export async function proofOf(store: AuditStore, { evidence }: Tampering): Promise<VerifyReport> {
  return verifyWithEvidence({ ...(await readVerifyInput(store)), evidence });
}

/** Writes an export of the stored texts, and puts the checkpoints and keys into its folder. */
export async function writeExport(folder: string, { rows, evidence }: Tampering): Promise<string> {
  const path = join(folder, 'export.jsonl');
  const ordered = rows.records.toSorted((a, b) => Number(a.sequence) - Number(b.sequence));
  const lines = ordered.map(({ record, hash }) => `${String(record).replace(/\}$/, '')},"hash":"${hash}"}`);
  await writeFile(path, lines.map((line) => `${line}\n`).join(''));
  await writeFile(
    join(folder, 'checkpoints.jsonl'),
    evidence.checkpoints.map((checkpoint) => `${JSON.stringify(checkpoint)}\n`).join(''),
  );
  return path;
}

export async function proofOfExport(path: string, { evidence }: Tampering): Promise<VerifyReport> {
  return verifyWithEvidence({ ...(await readExport(path)), isPartial: true, evidence });
}
