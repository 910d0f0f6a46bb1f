import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { watchForeignWrites } from '../../src/audit/foreign-writes.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { entry } from './sample.ts';

/** Wraps a function so that a test decides when its results arrive. */
function withGate<A extends readonly unknown[], R>(work: (...args: A) => Promise<R>) {
  let gate: Promise<void> | undefined;
  return {
    shut() {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return resolve;
    },
    async run(...args: A): Promise<R> {
      const result = await work(...args);
      await gate;
      return result;
    },
  };
}

function open() {
  const log = createMemoryAudit();
  let headReads = 0;
  const append = withGate(log.append);
  const head = withGate(() => {
    headReads += 1;
    return log.head();
  });
  const { audit, foreignVersion } = watchForeignWrites({ ...log, append: append.run, head: head.run });
  return { audit, foreignVersion, append, head, other: log.another('other'), looks: () => headReads };
}

describe('foreignVersion', () => {
  it('foreignVersion stays the same after successful or failed appends of this process, and changes after appends of other processes', async () => {
    const { audit, foreignVersion, other } = open();
    await other.append([entry(), entry()]);
    const before = await foreignVersion();
    expect(before).toBeDefined();
    await audit.append([entry(), entry(), entry()]);
    await expect(audit.append([entry({ actor: { kind: 'nobody' as 'cli' } })])).rejects.toThrow();
    expect(await foreignVersion()).toBe(before);
    await other.append([entry()]);
    expect(await foreignVersion()).not.toBe(before);
  });

  it('foreignVersion changes when records are pruned', async () => {
    const { audit, foreignVersion } = open();
    const [first] = await audit.append([entry(), entry()]);
    const before = await foreignVersion();
    await audit.prune(first ?? expect.fail());
    expect(await foreignVersion()).not.toBe(before);
  });

  it('foreignVersion does not read the head while an append of this process is pending', async () => {
    const { audit, foreignVersion, append, looks: headReads } = open();
    const releaseFirst = append.shut();
    const first = audit.append([entry()]);
    expect(await foreignVersion()).toBeUndefined();
    releaseFirst();
    await first;
    const before = await foreignVersion();
    const releaseSecond = append.shut();
    const second = audit.append([entry()]);
    const readsBefore = headReads();
    expect(await foreignVersion()).toBe(before);
    expect(headReads()).toBe(readsBefore);
    releaseSecond();
    await second;
    expect(await foreignVersion()).toBe(before);
  });

  it('foreignVersion changes when an append of this process follows a record of another process', async () => {
    const { audit, foreignVersion, append, other, looks: headReads } = open();
    const before = await foreignVersion();
    await other.append([entry()]);
    await audit.append([entry()]);
    const release = append.shut();
    const pending = audit.append([entry()]);
    const readsBefore = headReads();
    expect(await foreignVersion()).not.toBe(before);
    expect(headReads()).toBe(readsBefore);
    release();
    await pending;
  });

  it('foreignVersion stays the same if an append of this process starts or ends while the head is read', async () => {
    const { audit, foreignVersion, append, head } = open();
    const before = await foreignVersion();
    const releaseHead = head.shut();
    const startedBefore = foreignVersion();
    await nextTurn();
    const releaseAppend = append.shut();
    const appending = audit.append([entry()]);
    releaseHead();
    expect(await startedBefore).toBe(before);
    releaseAppend();
    await appending;

    const releaseHeadAgain = head.shut();
    const duringAppend = foreignVersion();
    await nextTurn();
    await audit.append([entry()]);
    releaseHeadAgain();
    expect(await duringAppend).toBe(before);
    expect(await foreignVersion()).toBe(before);
  });

  it('foreignVersion changes when the end of the log was cut off', async () => {
    const log = createMemoryAudit();
    let cut = 0;
    const head = async () => ({ ...(await log.head()), sequence: (await log.head()).sequence - cut });
    const { audit, foreignVersion } = watchForeignWrites({ ...log, head });
    await audit.append([entry(), entry()]);
    const before = await foreignVersion();
    cut = 1;
    expect(await foreignVersion()).not.toBe(before);
  });

  it('foreignVersion reads the head once for all callers that arrive before the read, and never returns a state that is older than the call', async () => {
    const { foreignVersion, head, other, looks: headReads } = open();
    const releaseHead = head.shut();
    const first = [foreignVersion(), foreignVersion()];
    await nextTurn();
    await other.append([entry()]);
    const second = [foreignVersion(), foreignVersion(), foreignVersion()];
    releaseHead();
    const [before, same] = await Promise.all(first);
    const after = await Promise.all(second);
    expect(same).toBe(before);
    expect(new Set(after).size).toBe(1);
    expect(after[0]).not.toBe(before);
    expect(headReads()).toBe(2);
  });

  it('foreignVersion reads the head a second time after a failed read, even for callers that were already waiting', async () => {
    const log = createMemoryAudit();
    const { promise: failure, reject: fail } = Promise.withResolvers<void>();
    let headReads = 0;
    const head = async () => {
      headReads += 1;
      if (headReads === 1) await failure;
      return log.head();
    };
    const { foreignVersion } = watchForeignWrites({ ...log, head });
    const firstRead = expect(foreignVersion()).rejects.toThrow('away');
    await nextTurn();
    const secondRead = foreignVersion();
    fail(new Error('away'));
    await firstRead;
    expect(await secondRead).toBeDefined();
  });
});
