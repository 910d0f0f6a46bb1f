import { describe, expect, it } from 'vitest';
import { createConfigSnapshot } from '../../src/service/config-snapshot.ts';
import { createLostRetries } from '../../src/service/lost-retries.ts';
import { createTargetStates } from '../../src/service/target-states.ts';
import {
  createClock,
  createFakeBroadcast,
  createTriggers,
  failed,
  START,
  targetState,
  wanted,
} from './sample.ts';

const LOST_MS = 60_000;
const HOUR = 3_600_000;

function open() {
  const clock = createClock();
  const states = createTargetStates(createFakeBroadcast(), clock);
  const triggers = createTriggers();
  const state = { requestedAt: undefined as number | undefined };
  const snapshot = createConfigSnapshot([], [wanted()], () => false);
  const look = createLostRetries({
    states,
    outbox: { ...triggers, requestedAt: () => state.requestedAt },
    clock,
    snapshot: () => snapshot,
    lostAfterMs: LOST_MS,
  });
  return { clock, states, triggers, state, look: () => look('r') };
}

const waiting = (retryAt: number) => targetState({ ...failed('STORE_UNAVAILABLE'), endedAt: START, retryAt });

describe('a retry', () => {
  it('counts as lost when it is a minute late, and its target is queued', () => {
    const { clock, states, triggers, look } = open();
    states.note(waiting(START + 5_000));
    clock.time = START + 64_999;
    look();
    expect(triggers.taken()).toEqual([]);
    clock.time = START + 65_000;
    look();
    expect(triggers.taken()).toEqual(['sweep apps/app']);
  });

  it('is queued immediately and only once when the clock is set back', () => {
    const { clock, states, triggers, look } = open();
    states.note(waiting(START + 5_000));
    clock.time = START + 1_000;
    look();
    clock.time -= HOUR;
    look();
    expect(triggers.taken()).toEqual(['sweep apps/app']);
    // The clock is not set back again, so the target is not queued again.
    clock.time += 20_000;
    look();
    expect(triggers.taken()).toEqual([]);
  });

  it('is not queued if it belongs to a replica whose clock is ahead', () => {
    const { clock, states, triggers, look } = open();
    states.note({ ...waiting(START + 400_000), endedAt: START + 100_000 });
    for (let time = 0; time < 5; time += 1) {
      clock.time += 20_000;
      look();
    }
    expect(triggers.taken()).toEqual([]);
  });

  it('is not queued if it was already requested or its target is not desired', () => {
    const { clock, states, triggers, state, look } = open();
    states.note(waiting(START + 5_000));
    states.note({ ...waiting(START + 5_000), mapping: 'gone' });
    state.requestedAt = START;
    clock.time += HOUR;
    look();
    expect(triggers.taken()).toEqual([]);
  });
});
