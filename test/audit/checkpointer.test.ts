import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import type { Checkpoint, CheckpointLocation } from '../../src/audit/checkpoint/checkpoint.ts';
import { type Checkpointer, createCheckpointer } from '../../src/audit/checkpoint/checkpointer.ts';
import { createSigner, keysById } from '../../src/audit/checkpoint/signing.ts';
import { recordsLost } from '../../src/audit/errors.ts';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import type { AuditStore } from '../../src/audit/store.ts';
import { createChainWatch } from '../../src/audit/verify/chain-watch.ts';
import { readVerifyInput, type VerifyReport, verifyWithEvidence } from '../../src/audit/verify/verify.ts';
import { AppError } from '../../src/core/errors.ts';
import { temporaryFolder } from './folder.ts';
import { bare, entry } from './sample.ts';
import { truncateLog } from './truncate-log.ts';

const signer = createSigner(generateKeyPairSync('ed25519').privateKey);
const keys = keysById([signer.publicKey]);
const COMMAND = bare({ action: 'command', note: 'sync' });

interface Memory extends CheckpointLocation {
  readonly lines: Checkpoint[];
  failure: AppError | undefined;
}

function place(name = 'a'): Memory {
  const lines: Checkpoint[] = [];
  const fail = async () => {
    if (memory.failure !== undefined) throw memory.failure;
  };
  const memory: Memory = {
    name,
    lines,
    isShared: true,
    failure: undefined,
    write: async (checkpoint) => {
      await fail();
      lines.push(checkpoint);
    },
    checkWritable: fail,
    read: async () => {
      await fail();
      return [...lines];
    },
  };
  return memory;
}

interface Scene extends AsyncDisposable {
  readonly places: readonly Memory[];
  readonly failures: string[];
  readonly losses: number[];
  readonly store: AuditStore;
  open(): Promise<Checkpointer>;
  sql(text: string): void;
  cut(after: number): void;
  prove(): Promise<VerifyReport>;
  time: number;
}

/** A real store with checkpoint locations in memory. */
async function openScene(): Promise<Scene> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder());
  const path = join(folder.path, 'audit.db');
  const clock = { now: () => fixture.time };
  const store = stack.use(await openSqliteAudit({ path, instance: 'test', replica: 'a', clock }));
  const places = [place('a'), place('b')];
  const owned = stack.move();
  const fixture: Scene = {
    places,
    failures: [],
    losses: [],
    store,
    time: Date.parse('2026-11-25T12:00:00Z'),
    async open() {
      const checkpointer = createCheckpointer({
        audit: store,
        locations: places,
        signer,
        keys,
        instance: 'test',
        instances: ['test'],
        clock,
        everyRecords: 10,
        onFailure: (name, { code }) => fixture.failures.push(`${name} ${code}`),
        onLoss: () => fixture.losses.push(1),
      });
      await checkpointer.checkStore();
      return checkpointer;
    },
    sql(text) {
      const db = new DatabaseSync(path);
      db.exec(text);
      db.close();
    },
    cut: (after) => truncateLog(path, after),
    async prove() {
      const checkpoints = places.flatMap(({ lines }) => lines);
      return verifyWithEvidence({ ...(await readVerifyInput(store)), evidence: { checkpoints, keys } });
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
  return fixture;
}

/** A counter that makes every record different. */
let salt = 0;

async function append(audit: AuditStore, count: number): Promise<void> {
  salt += 1;
  await audit.append(Array.from({ length: count }, () => entry({ durationMs: salt })));
}

const sequences = ({ lines }: Memory) => lines.map(({ sequence }) => sequence);

describe('checkpoints', () => {
  it('checkpoints are written to every location after records were appended, and on shutdown', async () => {
    await using fixture = await openScene();
    {
      await using checkpointer = await fixture.open();
      await checkpointer.write();
      expect(fixture.places.map(sequences)).toEqual([[], []]);
      await append(checkpointer.audit, 3);
      await checkpointer.write();
      await checkpointer.write();
      expect(fixture.places.map(sequences)).toEqual([[3], [3]]);
      await append(checkpointer.audit, 2);
    }
    expect(fixture.places.map(sequences)).toEqual([
      [3, 5],
      [3, 5],
    ]);
    expect(await fixture.prove()).toMatchObject({ ok: true, checkpoints: 4, sealed: { sequence: 5 } });
  });

  it('checkpoints are written after a certain number of records, even before the timer fires', async () => {
    await using fixture = await openScene();
    await using checkpointer = await fixture.open();
    await append(checkpointer.audit, 10);
    await checkpointer.write();
    expect(fixture.places.map(sequences)).toEqual([[10], [10]]);
  });

  it('checkpoints are not written a second time to a location that already has them', async () => {
    await using fixture = await openScene();
    await using one = await fixture.open();
    await append(one.audit, 3);
    await one.write();
    await using other = await fixture.open();
    await other.write();
    expect(fixture.places.map(sequences)).toEqual([[3], [3]]);
  });

  it('checkpoints have increasing times even if the clock is set back', async () => {
    await using fixture = await openScene();
    {
      await using checkpointer = await fixture.open();
      await append(checkpointer.audit, 1);
    }
    fixture.time -= 3_600_000;
    await using checkpointer = await fixture.open();
    await append(checkpointer.audit, 1);
    await checkpointer.write();
    const times = fixture.places[0]?.lines.map(({ time }) => time) ?? [];
    expect(times).toEqual(times.toSorted());
    expect(new Set(times).size).toBe(2);
  });

  it('checkpoints reach a failed location after it has recovered, and other locations do not wait for this location', async () => {
    await using fixture = await openScene();
    const [first, second] = fixture.places;
    await using checkpointer = await fixture.open();
    if (first === undefined || second === undefined) throw new Error('no places');
    first.failure = new AppError('CLUSTER_UNAVAILABLE');
    await append(checkpointer.audit, 1);
    await checkpointer.write();
    await checkpointer.write();
    expect(fixture.failures).toEqual(['a CLUSTER_UNAVAILABLE']);
    expect(checkpointer.writeError()?.code).toBe('CLUSTER_UNAVAILABLE');
    await append(checkpointer.audit, 1);
    first.failure = undefined;
    await checkpointer.write();
    expect(checkpointer.writeError()).toBeUndefined();
    expect(fixture.places.map(sequences)).toEqual([[2], [1, 2]]);
  });

  it('checkpoints are consistent if several processes write them concurrently', async () => {
    await using fixture = await openScene();
    await using one = await fixture.open();
    await using other = await fixture.open();
    for (const { audit } of [one, other, one, other]) await append(audit, 4);
    await Promise.all([one.write(), other.write(), one.write()]);
    expect(await fixture.prove()).toMatchObject({ ok: true });
  });
});

describe('audit store that lacks signed records', () => {
  async function truncated(cut = 12): Promise<Scene> {
    const fixture = await openScene();
    await using checkpointer = await fixture.open();
    for (const count of [10, 10]) {
      await append(checkpointer.audit, count);
      await checkpointer.write();
    }
    fixture.cut(cut);
    return fixture;
  }

  it('an audit store that lacks signed records accepts only records of reads and of commands that change nothing', async () => {
    await using fixture = await truncated();
    await using checkpointer = await fixture.open();
    expect(checkpointer.storeError()).toMatchObject({ code: 'AUDIT_TRUNCATED' });
    expect(checkpointer.storeError()?.message).toContain('it ends at record 12');
    for (const change of [entry({ phase: 'intent' }), COMMAND, bare({ action: 'release' })])
      await expect(checkpointer.audit.append([change])).rejects.toMatchObject({ code: 'AUDIT_TRUNCATED' });
    await checkpointer.audit.append([bare({ action: 'command', note: 'plan' })]);
    await checkpointer.audit.append([bare({ action: 'command', note: 'explain db' })]);
    await checkpointer.write();
    expect(fixture.places.map(sequences)).toEqual([
      [10, 20],
      [10, 20],
    ]);
  });

  it('an audit store that lacks signed records is not trusted even if other records have the missing sequence numbers', async () => {
    await using fixture = await truncated();
    await append(fixture.store, 20);
    await using checkpointer = await fixture.open();
    expect(checkpointer.storeError()?.message).toContain('record 20 differs');
    expect(await fixture.prove()).toMatchObject({ problem: { kind: 'checkpoint', sequence: 20, after: 10 } });
  });

  it('an audit store that lacks signed records passes verification and is trusted after a person accepts the loss', async () => {
    await using fixture = await truncated();
    expect(await fixture.prove()).toMatchObject({ ok: false, problem: { kind: 'truncated', sequence: 13 } });
    await using waiting = await fixture.open();
    {
      await using checkpointer = await fixture.open();
      const checkpoint = await checkpointer.accept(bare({ action: 'command', note: 'audit accept' }));
      expect(checkpoint).toMatchObject({ sequence: 13, accepts: 20 });
      expect(checkpointer.storeError()).toBeUndefined();
    }
    expect(await waiting.checkStore()).toBeUndefined();
    await waiting.audit.append([COMMAND]);
    await append(waiting.audit, 3);
    await waiting.write();
    expect(await fixture.prove()).toMatchObject({ ok: true, accepted: 2, sealed: { sequence: 17 } });
  });

  it('a second loss of signed records is reported even if new records have reused the sequence numbers of the first loss', async () => {
    await using fixture = await truncated();
    {
      await using checkpointer = await fixture.open();
      await checkpointer.accept(bare({ action: 'command' }));
      await append(checkpointer.audit, 4);
    }
    fixture.cut(15);
    expect(await fixture.prove()).toMatchObject({ ok: false, problem: { kind: 'truncated', sequence: 16 } });
    {
      await using checkpointer = await fixture.open();
      expect(checkpointer.storeError()?.code).toBe('AUDIT_TRUNCATED');
    }
    // This second loss also deletes the record in which the first loss was accepted.
    fixture.cut(11);
    await using checkpointer = await fixture.open();
    await checkpointer.accept(bare({ action: 'command' }));
    expect(checkpointer.storeError()).toBeUndefined();
    expect(await fixture.prove()).toMatchObject({ ok: true });
  });

  it('an audit store that lost signed records is not trusted until every checkpoint location contains the acceptance of the loss', async () => {
    await using fixture = await truncated();
    await using checkpointer = await fixture.open();
    const [first] = fixture.places;
    if (first === undefined) throw new Error('no place');
    const { write } = first;
    Object.assign(first, { write: () => Promise.reject(new AppError('CLUSTER_UNAVAILABLE')) });
    await checkpointer.accept(bare({ action: 'command' }));
    expect(checkpointer.storeError()?.code).toBe('AUDIT_TRUNCATED');
    Object.assign(first, { write });
    await checkpointer.accept(bare({ action: 'command' }));
    expect(checkpointer.storeError()).toBeUndefined();
  });

  it('a loss of signed records is detected even while the audit store is in use, and newer checkpoints do not hide the loss', async () => {
    await using fixture = await openScene();
    await using checkpointer = await fixture.open();
    await append(checkpointer.audit, 9);
    await checkpointer.write();
    fixture.cut(4);
    await append(checkpointer.audit, 7);
    await checkpointer.write();
    expect(fixture.losses).toEqual([1]);
    await expect(checkpointer.audit.append([COMMAND])).rejects.toMatchObject({ code: 'AUDIT_TRUNCATED' });
    expect(fixture.places.map(sequences)).toEqual([[9], [9]]);
  });

  it('a loss that another replica signed is detected, and newer checkpoints do not hide the loss', async () => {
    await using fixture = await openScene();
    await using checkpointer = await fixture.open();
    await append(checkpointer.audit, 4);
    await checkpointer.write();
    {
      await using replica = await fixture.open();
      await append(replica.audit, 5);
    }
    fixture.cut(4);
    await append(checkpointer.audit, 7);
    await checkpointer.write();
    expect(fixture.losses).toEqual([1]);
    expect(fixture.places.map(sequences)).toEqual([
      [4, 9],
      [4, 9],
    ]);
  });

  it('the last lost record is signed in every location if the audit store reports a loss', async () => {
    await using fixture = await openScene();
    await using checkpointer = await fixture.open();
    await append(checkpointer.audit, 9);
    const lost = await fixture.store.head();
    fixture.cut(4);
    fixture.store.append = () => Promise.reject(recordsLost(lost));
    await using other = await fixture.open();
    await expect(other.audit.append([COMMAND])).rejects.toMatchObject({ code: 'AUDIT_TRUNCATED' });
    expect(fixture.losses).toEqual([1]);
    expect(fixture.places.map(sequences)).toEqual([[9], [9]]);
    expect(await fixture.prove()).toMatchObject({ problem: { kind: 'truncated', sequence: 5 } });
  });

  it('an audit store is not reported as lacking signed records if retention pruned these records', async () => {
    await using fixture = await openScene();
    await using checkpointer = await fixture.open();
    await append(checkpointer.audit, 9);
    await checkpointer.write();
    const head = await fixture.store.head();
    await append(checkpointer.audit, 3);
    await checkpointer.write(head);
    // A crash may come between the checkpoint and the removal.
    expect(await checkpointer.checkStore()).toBeUndefined();
    await fixture.store.prune(head);
    expect(await checkpointer.checkStore()).toBeUndefined();
    await append(checkpointer.audit, 1);
    await checkpointer.write();
    expect(await fixture.prove()).toMatchObject({ ok: true, from: 10, records: 4, cutProved: true });
  });

  it('records at the start are reported as lost if no checkpoint signs their removal, and their loss can be accepted', async () => {
    await using fixture = await openScene();
    {
      await using checkpointer = await fixture.open();
      await append(checkpointer.audit, 9);
      await checkpointer.write();
      await fixture.store.prune(await fixture.store.head());
      await append(checkpointer.audit, 2);
      await checkpointer.write();
      expect(checkpointer.storeError()?.code).toBe('AUDIT_TRUNCATED');
    }
    expect(await fixture.prove()).toMatchObject({ ok: false, problem: { kind: 'deleted', sequence: 1 } });
    await using checkpointer = await fixture.open();
    expect(checkpointer.loss()).toMatchObject({ cutUntil: 9, contradicting: [] });
    await checkpointer.accept(bare({ action: 'command' }));
    expect(checkpointer.storeError()).toBeUndefined();
    expect(await fixture.prove()).toMatchObject({ ok: true, from: 10, cutProved: true });
  });
});

describe('checkpoint location', () => {
  it('a checkpoint location blocks changes while its checkpoints cannot be read', async () => {
    await using fixture = await openScene();
    const [first] = fixture.places;
    if (first === undefined) throw new Error('no place');
    first.failure = new AppError('CLUSTER_UNAVAILABLE');
    await using checkpointer = await fixture.open();
    await expect(checkpointer.audit.append([COMMAND])).rejects.toMatchObject({ code: 'CLUSTER_UNAVAILABLE' });
    first.failure = undefined;
    expect(await checkpointer.checkStore()).toBeUndefined();
    await checkpointer.audit.append([COMMAND]);
  });

  it('a checkpoint with the signature of an unknown key is reported, but the audit store stays trusted', async () => {
    await using fixture = await openScene();
    const foreign = createSigner(generateKeyPairSync('ed25519').privateKey);
    const forged = { sequence: 50, hash: 'a', time: '2026-11-25T12:00:00.000Z', instance: 'test' };
    fixture.places[0]?.lines.push(foreign.sign(forged));
    await append(fixture.store, 2);
    await using checkpointer = await fixture.open();
    expect(checkpointer.storeError()).toBeUndefined();
    expect(checkpointer.untrusted()).toMatchObject([{ place: 'a', checkpoint: { sequence: 50 } }]);
    expect(await fixture.prove()).toMatchObject({
      ok: false,
      records: 2,
      problem: { kind: 'checkpoint', sequence: 50 },
      unchecked: 1,
    });
  });

  it('checkpoints of another instance are ignored if a checkpoint location contains them', async () => {
    await using fixture = await openScene();
    fixture.places[0]?.lines.push(
      signer.sign({ sequence: 50, hash: 'a', time: '2026-11-25T12:00:00.000Z', instance: 'another' }),
    );
    await using checkpointer = await fixture.open();
    expect(checkpointer.storeError()).toBeUndefined();
  });
});

describe('chain watch', () => {
  it('the chain watch verifies new records, detects tampering, and clears the problem after the tampering is reverted', async () => {
    await using fixture = await openScene();
    let pauses = 0;
    const watch = createChainWatch({
      store: {
        ...fixture.store,
        storedRecords: (from) => {
          pauses = from;
          return fixture.store.storedRecords(from);
        },
      },
      evidence: async () => ({ checkpoints: fixture.places[0]?.lines ?? [], keys }),
      clock: { now: () => fixture.time },
      pause: async () => undefined,
    });
    await append(fixture.store, 5);
    await watch.run();
    expect([pauses, watch.problem()]).toEqual([1, undefined]);
    await append(fixture.store, 5);
    await watch.run();
    expect([pauses, watch.problem()]).toEqual([6, undefined]);
    fixture.sql(`update records set mapping = 'other' where sequence = 2`);
    await watch.run();
    expect(watch.problem()).toBeUndefined();
    fixture.time += 86_400_000;
    await watch.run();
    expect(watch.problem()).toEqual({ kind: 'edited', sequence: 2 });
    fixture.sql(`update records set mapping = 'payments-db' where sequence = 2`);
    await watch.run();
    expect(watch.problem()).toBeUndefined();
    fixture.cut(7);
    await watch.run();
    expect(watch.problem()).toEqual({ kind: 'truncated', sequence: 8 });
  });
});
