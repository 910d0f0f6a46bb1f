import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPasses, PASS_MS } from '../../src/service/runs/passes.ts';
import { createClock, START, settled } from './sample.ts';

describe('passes', () => {
  it('are shared within a request for a while, and never with what was read too early', async () => {
    const step = fc.record({
      ms: fc.integer({ min: 0, max: 6_000 }),
      requestId: fc.constantFrom('r1', 'r2', 'r3'),
      reason: fc.constantFrom('event' as const, 'manual' as const),
      /** How long ago what is read may have been read. */
      ago: fc.option(fc.nat(8_000), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const clock = createClock();
        const passes = createPasses(clock, async (job) => ({ ...job, beganAt: clock.time }));
        const usedAt = new Map<unknown, number>();
        let last: { readonly key: string; readonly pass: unknown; readonly at: number } | undefined;
        for (const { ms, requestId, reason, ago } of steps) {
          clock.time += ms;
          const notBefore = ago === undefined ? 0 : clock.time - ago;
          const pass = await passes.of({ requestId, reason }, notBefore);
          expect(pass).toMatchObject({ requestId, reason });
          expect(clock.time - (usedAt.get(pass) ?? clock.time)).toBeLessThanOrEqual(PASS_MS);
          usedAt.set(pass, clock.time);
          // What it has read may be as old as it is, and no older than the age at which it reads anew.
          if (ago !== undefined && pass.beganAt !== clock.time)
            expect(Math.max(pass.beganAt, clock.time - PASS_MS)).toBeGreaterThan(notBefore);
          const key = `${requestId} ${reason}`;
          // The same moment, the same pass.
          if (last?.key === key && last.at === clock.time && ago === undefined) expect(pass).toBe(last.pass);
          last = { key, pass, at: clock.time };
        }
      }),
    );
  });

  it('live for as long as they are used, before those that are not', async () => {
    const clock = createClock();
    let begun = 0;
    const passes = createPasses(clock, async () => {
      begun += 1;
      return begun;
    });
    const job = { requestId: 'long', reason: 'first' } as const;
    for (let n = 0; n < 100; n += 1) {
      expect(await passes.of(job, 0)).toBe(1);
      await passes.of({ requestId: `short-${n}`, reason: 'event' }, 0);
      clock.time += PASS_MS / 2;
    }
    clock.time += PASS_MS;
    expect(await passes.of(job, 0)).toBe(102);
  });

  it('that were begun in the turn in which something was asked for are new enough for it', async () => {
    const clock = createClock();
    let begun = 0;
    let turn = 1;
    const passes = createPasses(
      clock,
      async () => {
        begun += 1;
        return begun;
      },
      () => turn,
    );
    const job = { requestId: 'r1', reason: 'event' } as const;
    const of = (asked: number) => passes.of(job, 0, { at: START, turn: asked });
    expect([await of(1), await of(1)]).toEqual([1, 1]);
    turn = 2;
    // All in one millisecond.
    expect([await of(2), await of(2), await of(1)]).toEqual([2, 2, 2]);
    turn = 3;
    clock.time += 1;
    expect(await passes.of(job, 0, { at: clock.time, turn: 3 })).toBe(3);
    expect(await of(2)).toBe(3);
  });

  it('begin anew for a run that asks for what is read from now on', async () => {
    const clock = createClock();
    let begun = 0;
    const passes = createPasses(clock, async () => {
      begun += 1;
      return begun;
    });
    const job = { requestId: 'r1', reason: 'event' } as const;
    expect(await passes.of(job, 0)).toBe(1);
    expect(await passes.of(job, START)).toBe(2);
    expect(await passes.of(job, 0)).toBe(2);
    clock.time -= 3_600_000;
    expect(await passes.of(job, 0)).toBe(3);
  });

  it('are let go of when nobody will ask for them, and leave those of others alone', async () => {
    let begun = 0;
    const passes = createPasses(createClock(), async () => {
      begun += 1;
      return begun;
    });
    const job = { requestId: 'r1', reason: 'sweep' } as const;
    const others = [
      { requestId: 'r1', reason: 'event' },
      { requestId: 'r2', reason: 'sweep' },
    ] as const;
    for (const one of [job, ...others]) await passes.of(one, 0);
    passes.end(job);
    expect(await Promise.all(others.map((one) => passes.of(one, 0)))).toEqual([2, 3]);
    expect(await passes.of(job, 0)).toBe(4);
  });

  it('that could not begin are begun anew by the next one', async () => {
    let isWell = false;
    const passes = createPasses(createClock(), async () => {
      if (!isWell) throw new Error('no audit');
      return 'pass';
    });
    const job = { requestId: 'r1', reason: 'event' } as const;
    const both = await Promise.allSettled([passes.of(job, 0), passes.of(job, 0)]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    isWell = true;
    await settled();
    expect(await passes.of(job, 0)).toBe('pass');
  });
});
