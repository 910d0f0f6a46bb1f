import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { type CallResult, createBreaker } from '../../src/providers/breaker.ts';
import { createManualTime } from '../fakes/manual-time.ts';

const AWAY = new AppError('STORE_UNAVAILABLE');
const HUNG = new AppError('TIMEOUT');

/** A circuit breaker with a probe whose result the test controls. */
function breakerWith(first: AppError | undefined, random = 0.5) {
  const time = createManualTime();
  const probes: number[] = [];
  const states: string[] = [];
  let verdict: AppError | undefined = first;
  let held: Promise<void> | undefined;
  const breaker = createBreaker({
    wake: time.wake,
    random: () => random,
    onChange: () => states.push(breaker.state),
    probe: async () => {
      probes.push(time.now());
      await held;
      return verdict;
    },
  });
  const call = async (...endings: readonly CallResult[]) => {
    for (const ending of endings) (await breaker.enter(undefined))(ending);
    await time.advance(0);
  };
  return {
    breaker,
    time,
    probes,
    states,
    call,
    answer(next: AppError | undefined) {
      verdict = next;
    },
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>();
      held = promise;
      return resolve;
    },
  };
}

async function opened(verdict: AppError = AWAY) {
  const tested = breakerWith(verdict);
  await tested.call(AWAY, AWAY, AWAY);
  expect(tested.breaker.state).toBe('open');
  return tested;
}

describe('a circuit breaker', () => {
  it('opens after three failed calls in a row and a failed probe', async () => {
    const { breaker, call, probes } = breakerWith(AWAY);
    await call(AWAY, HUNG);
    expect([breaker.state, probes.length]).toEqual(['closed', 0]);
    await call(AWAY);
    expect([breaker.state, probes.length]).toEqual(['open', 1]);
  });

  it('rejects every call at once while open, with the code of the last error', async () => {
    const { breaker } = await opened(HUNG);
    const refusal = { code: 'TIMEOUT', detail: 'its last calls failed, so this call was skipped' };
    expect(() => breaker.check()).toThrow(expect.objectContaining(refusal));
    await expect(breaker.enter(undefined)).rejects.toMatchObject(refusal);
  });

  it('delays the first probe as long as the store requests', async () => {
    const { breaker, call, time, probes } = breakerWith(AWAY, 0);
    const busy = new AppError('STORE_UNAVAILABLE', { retryAfterMs: 8_000 });
    await call(busy, busy, busy, busy, busy, busy);
    await time.advance(7_999);
    expect([breaker.state, probes.length]).toEqual(['closed', 0]);
    await time.advance(1);
    expect([breaker.state, probes.length]).toEqual(['open', 1]);
  });

  it('skips the probe if a call is answered first, and schedules a probe after new failures', async () => {
    const { breaker, call, time, probes } = breakerWith(AWAY);
    const busy = new AppError('STORE_UNAVAILABLE', { retryAfterMs: 8_000 });
    await call(busy, busy, busy, undefined);
    expect(time.waiting).toEqual([]);
    await time.advance(60_000);
    expect(probes).toEqual([]);
    await call(AWAY, AWAY, AWAY);
    expect([breaker.state, probes.length]).toEqual(['open', 1]);
  });

  it('stays closed when one key hangs, while the probe succeeds', async () => {
    const { breaker, call, probes } = breakerWith(undefined);
    await call(...Array.from({ length: 12 }, () => HUNG));
    expect(breaker.state).toBe('closed');
    expect(breaker.error).toBe(HUNG);
    expect(probes).toHaveLength(4);
    await call(undefined);
    expect(breaker.error).toBeUndefined();
  });

  it('stays closed when one key hangs among calls for other keys', async () => {
    const { breaker, call, probes } = breakerWith(AWAY);
    for (let round = 0; round < 50; round += 1) await call(HUNG, HUNG, undefined);
    expect([breaker.state, probes.length]).toEqual(['closed', 0]);
  });

  it('opens after many failures even if the probe succeeds', async () => {
    const { breaker, call } = breakerWith(undefined);
    await call(...Array.from({ length: 25 }, () => HUNG));
    expect(breaker.state).toBe('open');
  });

  it.each(['AUTH_FAILED', 'ACCESS_DENIED', 'THROTTLED', 'BAD_ANSWER', 'SOURCE_DISABLED'] as const)(
    'treats %s as a response of the store',
    async (code) => {
      const { breaker, call } = breakerWith(AWAY);
      for (let round = 0; round < 20; round += 1) await call(AWAY, AWAY, new AppError(code));
      expect(breaker.state).toBe('closed');
    },
  );

  it('ignores a call that its caller aborted', async () => {
    const { breaker, call } = breakerWith(AWAY);
    await call(AWAY, AWAY, 'interrupted');
    expect(breaker.state).toBe('closed');
    await call(AWAY);
    expect(breaker.state).toBe('open');
  });

  it('stays closed if any call is answered before the probe fails', async () => {
    const { breaker, call, hold, time } = breakerWith(AWAY);
    const release = hold();
    await call(AWAY, AWAY, AWAY, undefined);
    release();
    await time.advance(0);
    expect(breaker.state).toBe('closed');
  });
});

describe('an open circuit breaker', () => {
  it('sends only a few probes per minute, regardless of load and duration of the outage', async () => {
    const { breaker, time, probes } = await opened();
    const start = time.now();
    for (let second = 0; second < 15 * 60; second += 1) {
      await time.advance(1_000);
      await expect(breaker.enter(undefined)).rejects.toThrow();
    }
    const perMinute = Object.values(Object.groupBy(probes, (at) => Math.floor((at - start) / 60_000)));
    expect(Math.max(...perMinute.map((all) => all?.length ?? 0))).toBeLessThanOrEqual(6); // The first minute has the most probes.
    expect(probes.length).toBeLessThanOrEqual(15 * 4);
    expect(probes.length).toBeGreaterThan(15 * 2);
  });

  it.each([
    [0, [1_800, 3_600, 7_200, 14_400, 18_000, 18_000]],
    [0.999999, [2_200, 4_400, 8_800, 17_600, 22_000, 22_000]],
  ])('probes after two seconds, then at increasing intervals with jitter (%d)', async (random, waits) => {
    const { call, time, probes } = breakerWith(AWAY, random);
    await call(AWAY, AWAY, AWAY);
    await time.advance(80_000);
    const gaps = probes.slice(1).map((at, index) => Math.round(at - (probes[index] ?? 0)));
    expect(gaps.slice(0, waits.length)).toEqual(waits);
  });

  it("detects the store's recovery without a call, and reports it", async () => {
    const { breaker, time, states, answer } = await opened();
    states.length = 0;
    await time.advance(5 * 60_000);
    answer(undefined);
    await time.advance(22_000);
    expect(states.at(-1)).toBe('trial');
    expect(() => breaker.check()).not.toThrow();
  });

  it('lets one trial call pass after the recovery, and the other calls after the trial is answered', async () => {
    const { breaker, time, answer } = await opened();
    answer(undefined);
    await time.advance(3_000);
    const order: string[] = [];
    const leaveFirst = await breaker.enter(undefined);
    const others = [1, 2].map(async (id) => {
      const leave = await breaker.enter(undefined);
      order.push(`call ${id}`);
      return leave;
    });
    await time.advance(0);
    order.push('answer');
    leaveFirst(undefined);
    await Promise.all(others);
    expect(order).toEqual(['answer', 'call 1', 'call 2']);
    expect(breaker.state).toBe('closed');
  });

  it('opens again if the trial call fails, and then probes at increasing intervals of up to a minute', async () => {
    const { breaker, time, answer, probes } = await opened();
    answer(undefined);
    probes.length = 0;
    let trials = 0;
    for (let second = 0; second < 30 * 60; second += 1) {
      await time.advance(1_000);
      if (breaker.state !== 'trial') continue;
      trials += 1;
      (await breaker.enter(undefined))(HUNG);
    }
    expect(breaker.state).toBe('open');
    expect(trials).toBeLessThanOrEqual(35);
    expect(trials).toBeGreaterThan(25);
  });

  it('lets the next call be the trial if the trial call is aborted', async () => {
    const { breaker, time, answer } = await opened();
    answer(undefined);
    await time.advance(3_000);
    const leave = await breaker.enter(undefined);
    const next = breaker.enter(undefined);
    leave('interrupted');
    expect(breaker.state).toBe('trial');
    (await next)(undefined);
    expect(breaker.state).toBe('closed');
  });

  it('lets only one waiting call become the next trial', async () => {
    const { breaker, time, answer } = await opened();
    answer(undefined);
    await time.advance(3_000);
    const leave = await breaker.enter(undefined);
    const entered: string[] = [];
    const waiting = ['one', 'two'].map(async (name) => {
      const mine = await breaker.enter(undefined);
      entered.push(name);
      return mine;
    });
    leave('interrupted');
    await time.advance(0);
    expect(entered).toEqual(['one']);
    (await waiting[0])?.(undefined);
    await Promise.all(waiting);
    expect(entered).toEqual(['one', 'two']);
  });

  it('rejects a waiting call if its signal is aborted', async () => {
    const { breaker, time, answer } = await opened();
    answer(undefined);
    await time.advance(3_000);
    await breaker.enter(undefined);
    const giveUp = new AbortController();
    const waiting = expect(breaker.enter(giveUp.signal)).rejects.toThrow('enough');
    giveUp.abort(new Error('enough'));
    await waiting;
  });

  it('closes after any response, even to an earlier call', async () => {
    const { breaker, call } = breakerWith(AWAY);
    const leave = await breaker.enter(undefined);
    await call(AWAY, AWAY, AWAY);
    expect(breaker.state).toBe('open');
    leave(undefined);
    expect(breaker.state).toBe('closed');
  });

  it('ignores the failure of an earlier call during a trial call', async () => {
    const { breaker, call, time, answer } = breakerWith(AWAY);
    const leave = await breaker.enter(undefined);
    await call(AWAY, AWAY, AWAY);
    answer(undefined);
    await time.advance(3_000);
    leave(HUNG);
    expect(breaker.state).toBe('trial');
  });

  it('waits as long as the store requests', async () => {
    const { call, time, probes } = breakerWith(
      new AppError('STORE_UNAVAILABLE', { retryAfterMs: 30_000 }),
      0,
    );
    await call(AWAY, AWAY, AWAY);
    await time.advance(29_999);
    expect(probes).toHaveLength(1);
    await time.advance(1);
    expect(probes).toHaveLength(2);
  });

  it('keeps no timer after it is disposed, in any state', async () => {
    const { breaker, time } = await opened();
    breaker[Symbol.dispose]();
    expect(time.waiting).toEqual([]);
    const doubtful = breakerWith(AWAY);
    const busy = new AppError('STORE_UNAVAILABLE', { retryAfterMs: 8_000 });
    await doubtful.call(busy, busy, busy);
    expect(doubtful.time.waiting).toEqual([8_000]);
    doubtful.breaker[Symbol.dispose]();
    expect(doubtful.time.waiting).toEqual([]);
    await doubtful.time.advance(60_000);
    expect(doubtful.probes).toEqual([]);
  });
});

it('sends no probes to an unused store', async () => {
  const { time, probes } = breakerWith(AWAY);
  await time.advance(3_600_000);
  expect(probes).toEqual([]);
});
