import { expect, it } from 'vitest';
import type { Entry } from '../../src/audit/entry.ts';
import { createReadBuffer } from '../../src/reconcile/read-buffer.ts';
import { entry } from '../audit/sample.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';

const read = (key: string): Entry => entry({ action: 'read', store: 's', key });

function open() {
  const audit = createMemoryAudit();
  const appends: (readonly (string | undefined)[])[] = [];
  const timers: (() => void)[] = [];
  const buffer = createReadBuffer((callback) => {
    timers.push(callback);
    return () => void timers.splice(timers.indexOf(callback), 1);
  });
  const append = (entries: readonly Entry[]) => {
    appends.push(entries.map(({ key }) => key));
    return audit.append(entries);
  };
  return { store: { append }, appends, timers, buffer };
}

it('a read buffer appends the records of several reads at once when it is flushed', async () => {
  const { store, appends, timers, buffer } = open();
  const durable = ['a', 'b', 'c'].map((key) => buffer.add(store, read(key)));
  expect(appends).toEqual([]);
  buffer.flush();
  await Promise.all(durable);
  expect(appends).toEqual([['a', 'b', 'c']]);
  expect(timers).toEqual([]);
});

it('a read buffer appends the records after a short time even without a flush', async () => {
  const { store, appends, timers, buffer } = open();
  const durable = buffer.add(store, read('a'));
  expect(timers).toHaveLength(1);
  timers[0]?.();
  await durable;
  expect(appends).toEqual([['a']]);
});

it('a read buffer rejects all reads of a failed append, and appends later reads', async () => {
  const { store, buffer } = open();
  const failing = { append: async () => Promise.reject(new Error('away')) };
  const failed = [buffer.add(failing, read('a')), buffer.add(failing, read('b'))];
  buffer.flush();
  expect((await Promise.allSettled(failed)).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  const durable = buffer.add(store, read('c'));
  buffer.flush();
  await durable;
});
