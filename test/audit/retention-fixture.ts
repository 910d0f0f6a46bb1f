import { generateKeyPairSync } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect } from 'vitest';
import { GENESIS, toStored } from '../../src/audit/chain.ts';
import {
  type Checkpoint,
  type CheckpointLocation,
  parseCheckpoints,
} from '../../src/audit/checkpoint/checkpoint.ts';
import { type Checkpointer, createCheckpointer } from '../../src/audit/checkpoint/checkpointer.ts';
import { createSigner, keysById } from '../../src/audit/checkpoint/signing.ts';
import { exportRecords } from '../../src/audit/export/export.ts';
import { type Archive, createArchive } from '../../src/audit/retention/archive.ts';
import {
  createRetention,
  type Retention,
  type RetentionOptions,
} from '../../src/audit/retention/retention.ts';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import type { AuditStore } from '../../src/audit/store.ts';
import type { Evidence } from '../../src/audit/verify/evidence.ts';
import { readExport } from '../../src/audit/verify/export-file.ts';
import { readVerifyInput, type VerifyReport, verifyWithEvidence } from '../../src/audit/verify/verify.ts';
import type { Clock } from '../../src/core/clock.ts';
import { faulty, type Watch } from '../fakes/faulty.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { temporaryFolder } from './folder.ts';
import { entry } from './sample.ts';

export const DAY = 86_400_000;
export const RETENTION_MS = 10 * DAY;
const START = Date.parse('2026-01-01T00:00:00Z');

export const signer = createSigner(generateKeyPairSync('ed25519').privateKey);
const keys = keysById([signer.publicKey]);

export interface RetentionFixture extends AsyncDisposable {
  readonly store: AuditStore;
  readonly checkpointer: Checkpointer;
  readonly archive: Archive;
  readonly clock: Clock;
  /** In days since the start. */
  day: number;
  /** Appends records on this day, and then writes a checkpoint for the last record. */
  append(day: number, count?: number): Promise<number>;
  retention(options?: Partial<RetentionOptions> & { readonly watch?: Watch }): Retention;
  evidence(): Promise<Evidence>;
  /** Adds a checkpoint for a record for which the checkpointer would not write one. */
  addCheckpoint(checkpoint: Checkpoint): Promise<void>;
  prove(): Promise<VerifyReport>;
  sql(text: string): void;
  /** The names of the archives, in order. */
  archived(): Promise<readonly string[]>;
  /** The records of the archives, then those of the store, in order and without duplicates. */
  joined(): Promise<string>;
}

/** Opens a SQLite store, or an in-memory store in tests that need many stores. */
export async function openRetention({ inMemory = false } = {}): Promise<RetentionFixture> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder());
  const path = join(folder.path, 'audit.db');
  const clock = { now: () => START + fixture.day * DAY };
  const store: AuditStore = inMemory
    ? createMemoryAudit({ clock })
    : stack.use(await openSqliteAudit({ path, instance: 'test', replica: 'a', clock }));
  const lines: Checkpoint[] = [];
  const location: CheckpointLocation = {
    name: 'memory',
    write: async (checkpoint) => void lines.push(checkpoint),
    checkWritable: async () => {},
    read: async () => [...lines],
  };
  const checkpointer = createCheckpointer({
    audit: store,
    locations: [location],
    signer,
    keys,
    instance: 'test',
    instances: ['test'],
    clock,
    onFailure: (name, { code }) => expect.fail(`${name} ${code}`),
  });
  await checkpointer.checkStore();
  const archive = createArchive(join(folder.path, 'archive'));
  const owned = stack.move();
  const fixture: RetentionFixture = {
    store,
    checkpointer,
    archive,
    clock,
    day: 0,
    async append(day, count = 3) {
      fixture.day = day;
      await checkpointer.audit.append(Array.from({ length: count }, (_, n) => entry({ attempt: n + 1 })));
      await checkpointer.write();
      return (await store.head()).sequence;
    },
    retention({ watch, ...options } = {}) {
      const audit = checkpointer.audit;
      const chosenArchive = 'archive' in options ? options.archive : archive;
      return createRetention({
        audit: watch === undefined ? audit : faulty('audit', audit, watch),
        checkpoints:
          watch === undefined
            ? checkpointer
            : {
                ...faulty('checkpoints', checkpointer, watch),
                storeError: checkpointer.storeError,
                writeError: checkpointer.writeError,
              },
        retentionMs: RETENTION_MS,
        clock,
        ...options,
        archive:
          watch === undefined || chosenArchive === undefined
            ? chosenArchive
            : faulty('archive', chosenArchive, watch),
      });
    },
    evidence: async () => ({ checkpoints: await location.read(), keys }),
    addCheckpoint: (checkpoint) => location.write(checkpoint),
    async prove() {
      const evidence = await fixture.evidence();
      return verifyWithEvidence({ ...(await readVerifyInput(store)), evidence });
    },
    sql(text) {
      const db = new DatabaseSync(path);
      db.exec(text);
      db.close();
    },
    archived: () => archivedIn(archive.path),
    joined: () => joinArchives(archive.path, store),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
  return fixture;
}

export async function archivedIn(folder: string): Promise<readonly string[]> {
  const archives = (await namesIn(folder)).filter((name) => name.endsWith('.jsonl'));
  const from = (name: string): number => Number(/\d+/.exec(name)?.[0]);
  return archives.toSorted((a, b) => from(a) - from(b));
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

/**
 * Joins archives and store as the how-to page describes. After a crash, a record can be both in an archive and in the
 * store. Then the archived record is used.
 */
export async function joinArchives(folder: string, store: AuditStore): Promise<string> {
  let text = '';
  for (const name of await archivedIn(folder)) text += await readFile(join(folder, name), 'utf8');
  const archived = text.split('\n').filter((line) => line !== '').length;
  let rest = '';
  for await (const part of exportRecords(store, { format: 'jsonl', filter: {}, version: '1' })) rest += part;
  const base = (await store.base()).sequence;
  const archivedAndStored = archived - base;
  expect(archivedAndStored).toBeGreaterThanOrEqual(0);
  return text + rest.split('\n').slice(archivedAndStored).join('\n');
}

/** Verifies an archive with the checkpoint in its folder. */
export async function proveArchive(folder: string, name: string, signers = keys): Promise<VerifyReport> {
  const seal = await readFile(join(folder, name.replace('.jsonl', '.checkpoint')), 'utf8');
  const evidence = { checkpoints: parseCheckpoints(seal), keys: signers };
  return verifyWithEvidence({ ...(await readExport(join(folder, name))), isPartial: true, evidence });
}

const linesOf = (text: string) =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => toStored(JSON.parse(line)));

/** Asserts that archives and store form one chain with every record. */
export async function expectWhole(scene: RetentionFixture): Promise<void> {
  const { checkpoints, keys } = await scene.evidence();
  const records = linesOf(await scene.joined());
  const proof = await verifyWithEvidence({ records, base: GENESIS, evidence: { checkpoints, keys } });
  expect(proof).toMatchObject({ ok: true, records: (await scene.store.head()).sequence });
}

/** Appends two records and a checkpoint on each day. */
export async function appendDays(scene: RetentionFixture, first: number, last: number): Promise<void> {
  for (let day = first; day <= last; day += 1) await scene.append(day, 2);
}
