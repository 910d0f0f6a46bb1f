import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSyncContexts, MAX_CONTEXT_AGE_MS } from '../../src/service/runs/sync-contexts.ts';
import { createClock, START, settled } from './sample.ts';

describe('sync contexts', () => {
  it('are shared within a request for a limited time, and never contain reads that are too old', async () => {
    const step = fc.record({
      ms: fc.integer({ min: 0, max: 6_000 }),
      requestId: fc.constantFrom('r1', 'r2', 'r3'),
      reason: fc.constantFrom('event' as const, 'manual' as const),
      /** The maximum age of a read. */
      ago: fc.option(fc.nat(8_000), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const clock = createClock();
        const contexts = createSyncContexts(clock, async (job) => ({ ...job, beganAt: clock.time }));
        const usedAt = new Map<unknown, number>();
        let last: { readonly key: string; readonly context: unknown; readonly at: number } | undefined;
        for (const { ms, requestId, reason, ago } of steps) {
          clock.time += ms;
          const notBefore = ago === undefined ? 0 : clock.time - ago;
          const context = await contexts.get({ requestId, reason }, notBefore);
          expect(context).toMatchObject({ requestId, reason });
          expect(clock.time - (usedAt.get(context) ?? clock.time)).toBeLessThanOrEqual(MAX_CONTEXT_AGE_MS);
          usedAt.set(context, clock.time);
          // Reads may be as old as the context, but no older than the maximum age.
          if (ago !== undefined && context.beganAt !== clock.time)
            expect(Math.max(context.beganAt, clock.time - MAX_CONTEXT_AGE_MS)).toBeGreaterThan(notBefore);
          const key = `${requestId} ${reason}`;
          // Two calls at the same time return the same context.
          if (last?.key === key && last.at === clock.time && ago === undefined)
            expect(context).toBe(last.context);
          last = { key, context, at: clock.time };
        }
      }),
    );
  });

  it('stay open while they are used, and unused contexts are closed first', async () => {
    const clock = createClock();
    let opened = 0;
    const contexts = createSyncContexts(clock, async () => {
      opened += 1;
      return opened;
    });
    const job = { requestId: 'long', reason: 'first' } as const;
    for (let n = 0; n < 100; n += 1) {
      expect(await contexts.get(job, 0)).toBe(1);
      await contexts.get({ requestId: `short-${n}`, reason: 'event' }, 0);
      clock.time += MAX_CONTEXT_AGE_MS / 2;
    }
    clock.time += MAX_CONTEXT_AGE_MS;
    expect(await contexts.get(job, 0)).toBe(102);
  });

  it('that were opened in the same tick as a request are new enough for it', async () => {
    const clock = createClock();
    let opened = 0;
    let turn = 1;
    const contexts = createSyncContexts(
      clock,
      async () => {
        opened += 1;
        return opened;
      },
      () => turn,
    );
    const job = { requestId: 'r1', reason: 'event' } as const;
    const of = (tick: number) => contexts.get(job, 0, { at: START, tick });
    expect([await of(1), await of(1)]).toEqual([1, 1]);
    turn = 2;
    // All calls happen within one millisecond.
    expect([await of(2), await of(2), await of(1)]).toEqual([2, 2, 2]);
    turn = 3;
    clock.time += 1;
    expect(await contexts.get(job, 0, { at: clock.time, tick: 3 })).toBe(3);
    expect(await of(2)).toBe(3);
  });

  it('are replaced for a run that needs newer reads', async () => {
    const clock = createClock();
    let opened = 0;
    const contexts = createSyncContexts(clock, async () => {
      opened += 1;
      return opened;
    });
    const job = { requestId: 'r1', reason: 'event' } as const;
    expect(await contexts.get(job, 0)).toBe(1);
    expect(await contexts.get(job, START)).toBe(2);
    expect(await contexts.get(job, 0)).toBe(2);
    clock.time -= 3_600_000;
    expect(await contexts.get(job, 0)).toBe(3);
  });

  it('are closed when no job will use them, without affecting other contexts', async () => {
    let opened = 0;
    const contexts = createSyncContexts(createClock(), async () => {
      opened += 1;
      return opened;
    });
    const job = { requestId: 'r1', reason: 'sweep' } as const;
    const others = [
      { requestId: 'r1', reason: 'event' },
      { requestId: 'r2', reason: 'sweep' },
    ] as const;
    for (const one of [job, ...others]) await contexts.get(one, 0);
    contexts.end(job);
    expect(await Promise.all(others.map((one) => contexts.get(one, 0)))).toEqual([2, 3]);
    expect(await contexts.get(job, 0)).toBe(4);
  });

  it('that failed to open are opened again by the next caller', async () => {
    let isWell = false;
    const contexts = createSyncContexts(createClock(), async () => {
      if (!isWell) throw new Error('no audit');
      return 'context';
    });
    const job = { requestId: 'r1', reason: 'event' } as const;
    const both = await Promise.allSettled([contexts.get(job, 0), contexts.get(job, 0)]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    isWell = true;
    await settled();
    expect(await contexts.get(job, 0)).toBe('context');
  });
});
