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

  it('foreignVersion is undefined while an append of this process is pending', async () => {
    const { audit, foreignVersion, append, looks: headReads } = open();
    const before = await foreignVersion();
    const releaseAppend = append.shut();
    const appending = audit.append([entry()]);
    const readsBefore = headReads();
    expect(await foreignVersion()).toBeUndefined();
    expect(headReads()).toBe(readsBefore);
    releaseAppend();
    await appending;
    expect(await foreignVersion()).toBe(before);
  });

  it('foreignVersion is undefined if an append of this process starts or ends while the head is read', async () => {
    const { audit, foreignVersion, append, head } = open();
    const before = await foreignVersion();
    const releaseHead = head.shut();
    const startedBefore = foreignVersion();
    await nextTurn();
    const releaseAppend = append.shut();
    const appending = audit.append([entry()]);
    releaseHead();
    expect(await startedBefore).toBeUndefined();
    releaseAppend();
    await appending;

    const releaseHeadAgain = head.shut();
    const duringAppend = foreignVersion();
    await nextTurn();
    await audit.append([entry()]);
    releaseHeadAgain();
    expect(await duringAppend).toBeUndefined();
    expect(await foreignVersion()).toBe(before);
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
