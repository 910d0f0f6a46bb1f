import { type ChildProcess, spawn } from 'node:child_process';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';
import { GENESIS, toStored } from '../../../src/audit/chain.ts';
import { fileLocation } from '../../../src/audit/checkpoint/locations.ts';
import { keysById } from '../../../src/audit/checkpoint/signing.ts';
import { openSqliteAudit } from '../../../src/audit/sqlite/sqlite.ts';
import type { AuditStore } from '../../../src/audit/store.ts';
import { verifyWithEvidence } from '../../../src/audit/verify/verify.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { temporaryFolder } from '../../audit/folder.ts';
import { archivedIn, joinArchives, proveArchive } from '../../audit/retention-fixture.ts';
import { postgres } from '../services/inject.ts';
import { createDatabase } from './database.ts';

const SCRIPT = join(import.meta.dirname, '../../audit/retention-child.ts');

interface Harness extends AsyncDisposable {
  readonly location: string;
  open(replica: string): Promise<AuditStore>;
}

/**
 * Runs retention in a child process and returns the last day that the child printed. The child kills itself at the step
 * `dieAt`. If `dieAt` is `never`, this function kills the child during its work.
 */
async function runChild(args: readonly string[], dieAt: string): Promise<number> {
  const child: ChildProcess = spawn(process.execPath, [SCRIPT, ...args, dieAt], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  let day = Number(args.at(-1));
  try {
    for await (const line of createInterface({ input: child.stdout ?? expect.fail() })) {
      day = Number(line);
      if (dieAt === 'never' && day === Number(args.at(-1)) + 4) break;
    }
  } finally {
    child.kill('SIGKILL');
    const [code, signal] = await ended;
    expect([code, signal]).toEqual([null, 'SIGKILL']);
  }
  return day;
}

/**
 * The values of `dieAt`, one for each run. At step 0, the child dies while it writes the archive. At steps 1 to 9, the
 * child dies before or after a port call of the subsequent prune.
 */
const STEPS = ['never', ...Array.from({ length: 10 }, (_, n) => String(n)), 'never'];

async function expectSurvival(harness: Harness): Promise<void> {
  await using folder = await temporaryFolder();
  const { privateKey } = generateKeyPairSync('ed25519');
  await writeFile(join(folder.path, 'key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const keys = keysById([createPublicKey(privateKey)]);
  const archive = join(folder.path, 'archive');
  let day = 0;
  let crashesBeforePrune = 0;
  let segments = 0;
  let previousBase = 0;
  for (const step of STEPS) {
    day = await runChild([harness.location, folder.path, `life-${day}`, String(day + 1)], step);
    await using store = await harness.open(`look-${day}`);
    const [base, head] = [await store.base(), await store.head()];
    const checkpoints = await fileLocation(join(folder.path, 'checkpoints.jsonl')).read();
    const evidence = { checkpoints, keys };
    expect(
      await verifyWithEvidence({ records: store.storedRecords(base.sequence + 1), base, head, evidence }),
    ).toMatchObject({
      ok: true,
    });
    const lines = (await joinArchives(archive, store)).split('\n').filter((line) => line !== '');
    const records = lines.map((line) => toStored(JSON.parse(line)));
    expect(await verifyWithEvidence({ records, base: GENESIS, head, evidence })).toMatchObject({
      ok: true,
      records: head.sequence,
    });
    const names = await archivedIn(archive);
    if (Number(/-(\d+)\.jsonl$/.exec(names.at(-1) ?? '')?.[1] ?? 0) > base.sequence) crashesBeforePrune += 1;
    segments = names.length;
    expect(base.sequence).toBeGreaterThanOrEqual(previousBase);
    previousBase = base.sequence;
  }
  for (const name of await archivedIn(archive))
    expect(await proveArchive(archive, name, keys)).toMatchObject({ ok: true, checkpoints: 1 });
  expect(crashesBeforePrune).toBeGreaterThanOrEqual(4);
  // A crash can leave a draft. Writing the next segment removes this draft, so only a draft of the last crash can
  // remain.
  const drafts = (await readdir(archive)).filter((name) => name.endsWith('.part'));
  expect(drafts.length).toBeLessThanOrEqual(1);
  process.stdout.write(
    `retention: ${STEPS.length} kills, ${segments} segments, ${crashesBeforePrune} crashes between archive and cut\n`,
  );
}

async function openSqlite(): Promise<Harness> {
  const folder = await temporaryFolder();
  const path = join(folder.path, 'audit.db');
  return {
    location: path,
    open: (replica) => openSqliteAudit({ path, instance: 'test', replica, clock: systemClock }),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

async function openPostgres(): Promise<Harness> {
  const database = await createDatabase(postgres());
  return {
    location: database.url,
    open: (replica) => database.open({ replica }),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

it.each([
  ['SQLite', openSqlite],
  ['PostgreSQL', openPostgres],
] as const)(
  'keeps each record either in the archive or in %s, and all records in one chain, if retention is killed',
  async (_, open) => {
    await using harness = await open();
    await expectSurvival(harness);
  },
);
