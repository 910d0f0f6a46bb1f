import { type ChildProcess, spawn } from 'node:child_process';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';
import { GENESIS, toStored } from '../../../src/audit/chain.ts';
import { fileLocation } from '../../../src/audit/checkpoint/locations/file.ts';
import { keysById } from '../../../src/audit/checkpoint/signing.ts';
import { openSqliteAudit } from '../../../src/audit/sqlite/sqlite.ts';
import type { AuditStore } from '../../../src/audit/store.ts';
import { verifyWithEvidence } from '../../../src/audit/verify/verify.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { temporaryFolder } from '../../audit/folder.ts';
import { archivedIn, proveArchive, joinArchives } from '../../audit/retention-fixture.ts';
import { postgres } from '../services/inject.ts';
import { createDatabase } from './database.ts';

const SCRIPT = join(import.meta.dirname, '../../audit/retention-child.ts');

interface Harness extends AsyncDisposable {
  readonly place: string;
  open(replica: string): Promise<AuditStore>;
}

/** Lives until it kills itself at a step, or is killed while it works. */
async function live(args: readonly string[], dieAt: string): Promise<number> {
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

/** 0 to 9: while the archive is written, and before and after each call of a port that a cut makes from then on. */
const STEPS = ['never', ...Array.from({ length: 10 }, (_, n) => String(n)), 'never'];

async function survives(harness: Harness): Promise<void> {
  await using folder = await temporaryFolder();
  const { privateKey } = generateKeyPairSync('ed25519');
  await writeFile(join(folder.path, 'key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const keys = keysById([createPublicKey(privateKey)]);
  const archive = join(folder.path, 'archive');
  let day = 0;
  let both = 0;
  let cuts = 0;
  let last = 0;
  for (const step of STEPS) {
    day = await live([harness.place, folder.path, `life-${day}`, String(day + 1)], step);
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
    if (Number(/-(\d+)\.jsonl$/.exec(names.at(-1) ?? '')?.[1] ?? 0) > base.sequence) both += 1;
    cuts = names.length;
    expect(base.sequence).toBeGreaterThanOrEqual(last);
    last = base.sequence;
  }
  for (const name of await archivedIn(archive))
    expect(await proveArchive(archive, name, keys)).toMatchObject({ ok: true, checkpoints: 1 });
  expect(both).toBeGreaterThanOrEqual(4);
  // What a crash left of a draft is gone with the segment that it was of; but for the last crash.
  const drafts = (await readdir(archive)).filter((name) => name.endsWith('.part'));
  expect(drafts.length).toBeLessThanOrEqual(1);
  process.stdout.write(
    `retention: ${STEPS.length} kills, ${cuts} segments, ${both} crashes between archive and cut\n`,
  );
}

it('sqlite: kill -9 while old records leave: each is in the archive or in the store, in one chain', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'audit.db');
  const harness: Harness = {
    place: path,
    open: (replica) => openSqliteAudit({ path, instance: 'test', replica, clock: systemClock }),
    [Symbol.asyncDispose]: async () => undefined,
  };
  await survives(harness);
});

it('postgres: kill -9 while old records leave: each is in the archive or in the store, in one chain', async () => {
  await using database = await createDatabase(postgres());
  const harness: Harness = {
    place: database.url,
    open: (replica) => database.open({ replica }),
    [Symbol.asyncDispose]: async () => undefined,
  };
  await survives(harness);
});
