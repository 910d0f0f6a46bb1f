import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import type { AuditStore } from '../../src/audit/store.ts';
import { HISTORY_END, history } from './history.ts';
import { OCCURRENCES } from './occurrences.ts';

export const MAPPINGS = 2_000;
const RECORDS = 1_000_000;
/** All records of a batch get the same time, so a larger one would span hours. */
const BATCH = 100;
const FOLDER = join(import.meta.dirname, '../../node_modules/.cache/secretbridge');

/**
 * Opens an audit store with a million records. Writing them takes some minutes, so the file is kept until the history
 * or the schema changes.
 */
export async function openMillionRecords(): Promise<AuditStore & AsyncDisposable> {
  const path = join(FOLDER, `history-${await digest()}.db`);
  if (!existsSync(path)) await write(path);
  return openSqliteAudit({ path, instance: 'prod-eu', replica: 'page', clock: { now: Date.now } });
}

async function digest(): Promise<string> {
  const schema = '../../src/audit/records/schema.ts';
  const files = ['history.ts', 'occurrences.ts', 'scene.ts', 'million-records.ts', schema];
  const hash = createHash('sha256');
  for (const file of files) hash.update(await readFile(join(import.meta.dirname, file)));
  return hash.digest('hex').slice(0, 12);
}

async function write(path: string): Promise<void> {
  await mkdir(FOLDER, { recursive: true });
  const draft = `${path}.draft`;
  for (const suffix of ['', '-wal', '-shm']) await rm(`${draft}${suffix}`, { force: true });
  let now = 0;
  {
    await using audit = await openSqliteAudit({
      ...{ path: draft, instance: 'prod-eu', replica: 'bridge-0', clock: { now: () => now } },
    });
    await writeMillionRecords(audit, (time) => {
      now = time;
    });
  }
  await rename(draft, path);
}

/** Appends the million records to an empty store. Its clock must show the time that was set last. */
export async function writeMillionRecords(audit: AuditStore, setTime: (time: number) => void): Promise<void> {
  for (const { at, entries } of batches()) {
    setTime(at);
    await audit.append(entries);
  }
}

/** Joins moments, because each append waits for the disk. What happens at the end keeps its own times. */
function* batches(): ReturnType<typeof history> {
  let entries: Parameters<AuditStore['append']>[0][number][] = [];
  let at = 0;
  const lastDay = HISTORY_END - 86_400_000;
  for (const moment of history({ mappings: MAPPINGS, records: RECORDS }, OCCURRENCES)) {
    if (entries.length > 0 && (entries.length >= BATCH || moment.at > lastDay)) {
      yield { at, entries };
      entries = [];
    }
    entries.push(...moment.entries);
    at = moment.at;
  }
  yield { at, entries };
}
