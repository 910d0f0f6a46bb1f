import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { watchForeignWrites } from '../../src/audit/foreign-writes.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { entry } from './sample.ts';

/** Wraps a function whose result can be held back. */
function gated<A extends readonly unknown[], R>(work: (...args: A) => Promise<R>) {
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
  let looks = 0;
  const append = gated(log.append);
  const head = gated(() => {
    looks += 1;
    return log.head();
  });
  const { audit, foreignVersion: mark } = watchForeignWrites({ ...log, append: append.run, head: head.run });
  return { audit, mark, append, head, other: log.another('other'), looks: () => looks };
}

describe('foreignVersion', () => {
  it('ignores own records, even refused ones, and changes with records of others', async () => {
    const { audit, mark, other } = open();
    await other.append([entry(), entry()]);
    const before = await mark();
    expect(before).toBeDefined();
    await audit.append([entry(), entry(), entry()]);
    await expect(audit.append([entry({ actor: { kind: 'nobody' as 'cli' } })])).rejects.toThrow();
    expect(await mark()).toBe(before);
    await other.append([entry()]);
    expect(await mark()).not.toBe(before);
  });

  it('changes when records are pruned', async () => {
    const { audit, mark } = open();
    const [first] = await audit.append([entry(), entry()]);
    const before = await mark();
    await audit.prune(first ?? expect.fail());
    expect(await mark()).not.toBe(before);
  });

  it('is undefined while an own append has not returned', async () => {
    const { audit, mark, append, looks } = open();
    const before = await mark();
    const letEnd = append.shut();
    const appending = audit.append([entry()]);
    const looked = looks();
    expect(await mark()).toBeUndefined();
    expect(looks()).toBe(looked);
    letEnd();
    await appending;
    expect(await mark()).toBe(before);
  });

  it('is undefined if an own append starts or ends during the read', async () => {
    const { audit, mark, append, head } = open();
    const before = await mark();
    const letTell = head.shut();
    const beforeItBegan = mark();
    await nextTurn();
    const letEnd = append.shut();
    const appending = audit.append([entry()]);
    letTell();
    expect(await beforeItBegan).toBeUndefined();
    letEnd();
    await appending;

    const letTellAgain = head.shut();
    const whileItRan = mark();
    await nextTurn();
    await audit.append([entry()]);
    letTellAgain();
    expect(await whileItRan).toBeUndefined();
    expect(await mark()).toBe(before);
  });

  it('shares one read among callers that ask before it starts, and is never older than the call', async () => {
    const { mark, head, other, looks } = open();
    const letTell = head.shut();
    const first = [mark(), mark()];
    await nextTurn();
    await other.append([entry()]);
    const second = [mark(), mark(), mark()];
    letTell();
    const [before, same] = await Promise.all(first);
    const after = await Promise.all(second);
    expect(same).toBe(before);
    expect(new Set(after).size).toBe(1);
    expect(after[0]).not.toBe(before);
    expect(looks()).toBe(2);
  });

  it('reads again after a failure, also for callers that waited', async () => {
    const log = createMemoryAudit();
    const { promise: failure, reject: fail } = Promise.withResolvers<void>();
    let looks = 0;
    const head = async () => {
      looks += 1;
      if (looks === 1) await failure;
      return log.head();
    };
    const { foreignVersion: mark } = watchForeignWrites({ ...log, head });
    const refused = expect(mark()).rejects.toThrow('away');
    await nextTurn();
    const waiting = mark();
    fail(new Error('away'));
    await refused;
    expect(await waiting).toBeDefined();
  });
});
