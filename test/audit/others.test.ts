import { describe, expect, it } from 'vitest';
import { watchOthers } from '../../src/audit/others.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { entry } from './sample.ts';

/** Gives its result only when it is let. */
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

function open(freshMs = 0) {
  const log = createMemoryAudit();
  const append = gated(log.append);
  const head = gated(log.head);
  const { audit, count } = watchOthers({ ...log, append: append.run, head: head.run }, { freshMs });
  return { audit, count, append, head, other: log.another('other') };
}

describe('how many records are of other processes', () => {
  it('stays the same with records of this one, also where they were refused', async () => {
    const { audit, count, other } = open();
    await other.append([entry(), entry()]);
    expect(await count()).toBe(2);
    await audit.append([entry(), entry(), entry()]);
    await expect(audit.append([entry({ actor: { kind: 'nobody' as 'cli' } })])).rejects.toThrow();
    expect(await count()).toBe(2);
    await other.append([entry()]);
    expect(await count()).toBe(3);
  });

  it('cannot be told between the commit of a record of this one and its end', async () => {
    const { audit, count, append } = open();
    const letEnd = append.shut();
    const appending = audit.append([entry()]);
    expect(await count()).toBeUndefined();
    letEnd();
    await appending;
    expect(await count()).toBe(0);
  });

  it('cannot be told where such a record began or ended meanwhile', async () => {
    const { audit, count, append, head } = open();
    const letTell = head.shut();
    const beforeItBegan = count();
    const letEnd = append.shut();
    const appending = audit.append([entry()]);
    letTell();
    expect(await beforeItBegan).toBeUndefined();
    letEnd();
    await appending;

    const letTellAgain = head.shut();
    const whileItRan = count();
    await audit.append([entry()]);
    letTellAgain();
    expect(await whileItRan).toBeUndefined();
    expect(await count()).toBe(0);
  });

  it('is asked for once by all who ask at a time, and again after a failure', async () => {
    const { count, head, other } = open(60_000);
    const letTell = head.shut();
    const all = [count(), count()];
    await other.append([entry()]);
    letTell();
    expect(await Promise.all(all)).toEqual([0, 0]);
    expect(await count()).toBe(0);

    const log = createMemoryAudit();
    let failures = 1;
    const failing = watchOthers({
      ...log,
      head: () => (failures-- > 0 ? Promise.reject(new Error('away')) : log.head()),
    });
    await expect(failing.count()).rejects.toThrow('away');
    expect(await failing.count()).toBe(0);
  });
});
