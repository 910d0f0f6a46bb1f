import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ReadResult, refId, type StoreRef } from '../../src/core/read-result.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import type { SyncContext } from '../../src/reconcile/context.ts';
import { createMemorySemaphore, withMemoryLease } from '../../src/service/runs/memory-semaphore.ts';
import { settled } from './sample.ts';

const MOST = 100;
const LIGHT = 10;

describe('memory semaphore', () => {
  it('the memory semaphore stays within its limit unless a single run exceeds it, and lets every run proceed', async () => {
    // `run` lists the amounts that each run acquires. `order` interleaves the runs.
    const run = fc.array(fc.nat(150), { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(run, { maxLength: 20 }),
        fc.array(fc.nat(20), { maxLength: 60 }),
        async (runs, order) => {
          const weights = createMemorySemaphore({ limitBytes: MOST, freeBytes: LIGHT });
          const holding = new Map<number, { bytes: number; parts: number; readonly goOn: () => void }>();
          const began: number[] = [];
          const all = runs.map(async ([first = 0, ...rest], number) => {
            using weight = weights.open();
            await weight.acquire(first);
            began.push(number);
            let bytes = first;
            for (const part of [...rest, undefined]) {
              const { promise, resolve } = Promise.withResolvers<void>();
              holding.set(number, { bytes, parts: rest.length, goOn: resolve });
              await promise;
              holding.delete(number);
              if (part === undefined) break;
              await weight.acquire(part);
              bytes += part;
            }
          });
          for (let step = 0; ; step += 1) {
            await settled();
            if (holding.size === 0) break;
            const heavy = [...holding.values()].filter(({ bytes }) => bytes > LIGHT);
            const sum = heavy.reduce((total, { bytes }) => total + bytes, 0);
            // A run that already holds memory may acquire more without waiting.
            if (heavy.length > 1 && heavy.every(({ parts }) => parts === 0))
              expect(sum).toBeLessThanOrEqual(MOST);
            const numbers = [...holding.keys()];
            holding.get(numbers[(order[step] ?? 0) % numbers.length] ?? 0)?.goOn();
          }
          await Promise.all(all);
          expect(began).toHaveLength(runs.length);
          // Runs start in the order of their requests, except for small runs.
          const heavyFirst = began.filter((number) => (runs[number]?.[0] ?? 0) > LIGHT);
          expect(heavyFirst).toEqual(heavyFirst.toSorted((a, b) => a - b));
        },
      ),
    );
  });

  it('the memory semaphore never delays a small run', async () => {
    const weights = createMemorySemaphore({ limitBytes: MOST, freeBytes: LIGHT });
    const held = Array.from({ length: 3 }, () => weights.open());
    const intervals = held.map((weight) => weight.acquire(2 * MOST));
    await intervals[0];
    const light = weights.open();
    await light.acquire(LIGHT);
    held[0]?.[Symbol.dispose]();
    await intervals[1];
    held[1]?.[Symbol.dispose]();
    await intervals[2];
  });

  it('the memory semaphore reports all memory that large runs acquire, and each acquisition once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(2 * LIGHT), { maxLength: 8 }), async (parts) => {
        const reported: number[] = [];
        const weights = createMemorySemaphore({
          limitBytes: MOST,
          freeBytes: LIGHT,
          onAcquired: (bytes) => reported.push(bytes),
        });
        using weight = weights.open();
        for (const part of parts) await weight.acquire(part);
        const sum = parts.reduce((all, part) => all + part, 0);
        expect(reported.reduce((all, bytes) => all + bytes, 0)).toBe(sum > LIGHT ? sum : 0);
      }),
    );
  });

  it('a run hands the record of a read to the audit before the run waits for memory', async () => {
    const weights = createMemorySemaphore({ limitBytes: MOST, freeBytes: LIGHT });
    const other = weights.open();
    await other.acquire(MOST);
    const refs: readonly StoreRef[] = [{ store: 'vault', ref: { key: 'db' } }];
    const events: string[] = [];
    const record = Promise.withResolvers<void>();
    const value = SecretValue.fromBytes(Buffer.alloc(LIGHT + 1));
    const context: Pick<SyncContext, 'read' | 'whenRecorded'> = {
      read: async () =>
        new Map<string, ReadResult>([[refId(refs[0] as StoreRef), { kind: 'found', value, version: '1' }]]),
      async whenRecorded(readRefs) {
        events.push(`asked for ${readRefs.length}`);
        await record.promise;
      },
    };
    using weight = weights.open();
    const mine = withMemoryLease(context as SyncContext, weight);
    const reading = mine.read(refs).then((results) => {
      events.push('read');
      return results;
    });
    await settled();
    expect(events).toEqual(['asked for 1']);
    other[Symbol.dispose]();
    expect((await reading).size).toBe(1);
    const recorded = mine.whenRecorded(refs);
    record.reject(new Error('no audit'));
    await expect(recorded).rejects.toThrow('no audit');
    expect(events).toEqual(['asked for 1', 'read']);
  });
});
