import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { Breaker } from '../../src/providers/breaker.ts';
import { useFakeTimers } from '../fakes/fake-timers.ts';

const AWAY = new AppError('STORE_UNAVAILABLE');
const HUNG = new AppError('TIMEOUT');

/** Creates a circuit breaker. The test controls the result of its probe. */
function breakerWith(first: AppError | undefined, random = 0.5) {
  const time = useFakeTimers();
  const probes: number[] = [];
  const states: string[] = [];
  let failure: AppError | undefined = first;
  let held: Promise<void> | undefined;
  const stateOf = () => (breaker.refusal === undefined ? 'closed' : 'open');
  const breaker = new Breaker({
    random: () => random,
    onChange: () => states.push(stateOf()),
    probe: async () => {
      probes.push(time.now());
      await held;
      return { failure };
    },
  });
  const call = async (...failures: readonly (AppError | undefined)[]) => {
    for (const ending of failures) await breaker.execute(async () => ({ failure: ending }));
    await time.advance(0);
  };
  /** Starts a call. Returns a function that ends the call. */
  const start = () => {
    const { promise, resolve } = Promise.withResolvers<AppError | undefined>();
    const ended = breaker.execute(async () => ({ failure: await promise }));
    return async (ending: AppError | undefined) => {
      resolve(ending);
      await ended;
    };
  };
  return {
    breaker,
    time,
    probes,
    states,
    call,
    start,
    state: stateOf,
    answer(next: AppError | undefined) {
      failure = next;
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
  expect(tested.state()).toBe('open');
  return tested;
}

describe('a circuit breaker', () => {
  it('opens after three failed calls in a row and a failed probe', async () => {
    const { state, call, probes } = breakerWith(AWAY);
    await call(AWAY, HUNG);
    expect([state(), probes.length]).toEqual(['closed', 0]);
    await call(AWAY);
    expect([state(), probes.length]).toEqual(['open', 1]);
  });

  it('waits before the first probe for as long as the store requests', async () => {
    const { state, call, time, probes } = breakerWith(AWAY, 0);
    const busy = new AppError('STORE_UNAVAILABLE', { retryAfterMs: 8_000 });
    await call(busy, busy, busy, busy, busy, busy);
    await time.advance(7_999);
    expect([state(), probes.length]).toEqual(['closed', 0]);
    await time.advance(1);
    expect([state(), probes.length]).toEqual(['open', 1]);
  });

  it('cancels the probe if a call is answered before the probe, and plans a new probe after new failures', async () => {
    const { state, call, time, probes } = breakerWith(AWAY);
    const busy = new AppError('STORE_UNAVAILABLE', { retryAfterMs: 8_000 });
    await call(busy, busy, busy, undefined);
    expect(time.pending).toBe(0);
    await time.advance(60_000);
    expect(probes).toEqual([]);
    await call(AWAY, AWAY, AWAY);
    expect([state(), probes.length]).toEqual(['open', 1]);
  });

  it('stays closed if one key hangs and the probe is answered', async () => {
    const { breaker, state, call, probes } = breakerWith(undefined);
    for (let round = 0; round < 4; round += 1) await call(HUNG, HUNG, HUNG);
    expect(state()).toBe('closed');
    expect(breaker.error).toBe(HUNG);
    expect(probes).toHaveLength(4);
    await call(undefined);
    expect(breaker.error).toBeUndefined();
  });

  it('stays closed if one key hangs and calls for other keys are answered', async () => {
    const { state, call, probes } = breakerWith(AWAY);
    for (let round = 0; round < 50; round += 1) await call(HUNG, HUNG, undefined);
    expect([state(), probes.length]).toEqual(['closed', 0]);
  });

  it('opens after 25 failures in a row, even if the probe is answered', async () => {
    const { state, call } = breakerWith(undefined);
    await call(...Array.from({ length: 25 }, () => HUNG));
    expect(state()).toBe('open');
  });

  it.each(['AUTH_FAILED', 'ACCESS_DENIED', 'THROTTLED', 'BAD_ANSWER', 'SOURCE_DISABLED'] as const)(
    'stays closed after errors with the code %s, because these errors show that the store responds',
    async (code) => {
      const { state, call } = breakerWith(AWAY);
      for (let round = 0; round < 20; round += 1) await call(AWAY, AWAY, new AppError(code));
      expect(state()).toBe('closed');
    },
  );

  it('does not count a call that throws because its caller aborted it', async () => {
    const { breaker, state, call } = breakerWith(AWAY);
    await call(AWAY, AWAY);
    await expect(breaker.execute(() => Promise.reject(new Error('enough')))).rejects.toThrow('enough');
    expect(state()).toBe('closed');
    await call(AWAY);
    expect(state()).toBe('open');
  });

  it('stays closed if a call is answered before the probe fails', async () => {
    const { state, call, hold, time } = breakerWith(AWAY);
    const release = hold();
    await call(AWAY, AWAY, AWAY, undefined);
    release();
    await time.advance(0);
    expect(state()).toBe('closed');
  });
});

describe('an open circuit breaker', () => {
  it('rejects every call immediately while it is open, with the code of the last error', async () => {
    const { breaker } = await opened(HUNG);
    const refusal = { code: 'TIMEOUT', detail: 'its last calls failed, so this call was skipped' };
    await expect(breaker.execute(async () => ({ failure: undefined }))).rejects.toMatchObject(refusal);
  });

  it('sends only a few probes per minute while it is open, however many calls there are and however long the outage is', async () => {
    const { breaker, time, probes } = await opened();
    const start = time.now();
    for (let second = 0; second < 15 * 60; second += 1) {
      await time.advance(1_000);
      await expect(breaker.execute(async () => ({ failure: AWAY }))).rejects.toThrow();
    }
    const perMinute = Object.values(Object.groupBy(probes, (at) => Math.floor((at - start) / 60_000)));
    expect(Math.max(...perMinute.map((all) => all?.length ?? 0))).toBeLessThanOrEqual(6); // The first minute has the most probes, because the waits get longer.
    expect(probes.length).toBeLessThanOrEqual(15 * 4);
    expect(probes.length).toBeGreaterThan(15 * 2);
  });

  it.each([
    [0, [1_800, 3_600, 7_200, 14_400, 18_000, 18_000]],
    [1, [2_200, 4_400, 8_800, 17_600, 22_000, 22_000]],
  ])(
    'sends the next probe after two seconds, and further probes after longer waits with jitter (random number %d)',
    async (random, waits) => {
      const { call, time, probes } = breakerWith(AWAY, random);
      await call(AWAY, AWAY, AWAY);
      await time.advance(80_000);
      const gaps = probes.slice(1).map((at, index) => Math.round(at - (probes[index] ?? 0)));
      expect(gaps.slice(0, waits.length)).toEqual(waits);
    },
  );

  it('reports that the store works again even if no call is made', async () => {
    const { state, time, states, answer } = await opened();
    states.length = 0;
    await time.advance(5 * 60_000);
    answer(undefined);
    await time.advance(22_000);
    expect([states.at(-1), state()]).toEqual(['closed', 'closed']);
  });

  it('opens again if three calls without an answer follow an answered probe, and then waits longer than before', async () => {
    const { state, call, time, answer, probes } = await opened();
    answer(undefined);
    await time.advance(2_000);
    await call(HUNG, HUNG);
    expect(state()).toBe('closed');
    await call(HUNG);
    expect(state()).toBe('open');
    const sent = probes.length;
    await time.advance(3_999);
    expect(probes).toHaveLength(sent);
    await time.advance(1);
    expect([probes.length, state()]).toEqual([sent + 1, 'closed']);
  });

  it('needs 25 failures to open again after a call was answered', async () => {
    const { state, call, time, answer } = await opened();
    answer(undefined);
    await time.advance(2_000);
    await call(undefined, ...Array.from({ length: 24 }, () => HUNG));
    expect(state()).toBe('closed');
  });

  it('closes after any response, even if the call started before the breaker opened', async () => {
    const { state, call, start } = breakerWith(AWAY);
    const end = start();
    await call(AWAY, AWAY, AWAY);
    expect(state()).toBe('open');
    await end(undefined);
    expect(state()).toBe('closed');
  });

  it('waits before the next probe for as long as the store requests', async () => {
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

  it('leaves no timer after it was disposed', async () => {
    const { breaker, time } = await opened();
    expect(time.pending).toBe(1);
    breaker[Symbol.dispose]();
    expect(time.pending).toBe(0);
  });
});

it('sends no probes to a store that is not used', async () => {
  const { time, probes } = breakerWith(AWAY);
  await time.advance(3_600_000);
  expect(probes).toEqual([]);
});
