import { DatabaseSync } from 'node:sqlite';

/**
 * Deletes the records after a sequence number from a SQLite log, including their search rows, and moves the head back.
 */
export function truncateLog(path: string, after: number): void {
  const db = new DatabaseSync(path);
  const tables = db
    .prepare(
      "select m.name from sqlite_schema m, pragma_table_info(m.name) c where m.type = 'table' and c.name = 'sequence'",
    )
    .all()
    .map(({ name }) => String(name))
    .filter((name) => !['head', 'base'].includes(name));
  for (const table of tables) db.exec(`delete from ${table} where sequence > ${after}`);
  db.exec(`update head set sequence = ${after}, hash = (select hash from records where sequence = ${after})`);
  db.close();
}
