import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { DesiredTarget } from '../../src/reconcile/targets.ts';
import type { Controller } from '../../src/service/controller.ts';
import { heldStatuses } from '../../src/service/status.ts';
import { requestSync } from '../../src/service/sync-request.ts';
import type { TargetState } from '../../src/service/target-state.ts';
import { createTargetStates } from '../../src/service/target-states.ts';
import { createClock, createFakeBroadcast, failed, queueAway, START, targetState, wanted } from './sample.ts';

const A = wanted({ name: 'a' });
const B = wanted({ name: 'b' });

function open() {
  const clock = createClock();
  const broadcast = createFakeBroadcast();
  const states = createTargetStates(broadcast, clock);
  const elsewhere = createTargetStates(broadcast, clock);
  const requests: string[] = [];
  const state: { refuse: string | undefined } = { refuse: undefined };
  const controller = {
    states,
    async request({ mapping }: DesiredTarget, requestId: string) {
      if (mapping.name === state.refuse) throw queueAway();
      requests.push(`${mapping.name} ${requestId}`);
    },
  } as Pick<Controller, 'states' | 'request'> as Controller;
  const held = () => heldStatuses({ states, idOf: ({ target }) => `held-${target.secret}` });
  const ask = (all: readonly DesiredTarget[], mapping?: string) =>
    requestSync(controller, all, {
      requestId: 'mine',
      clock,
      held,
      ...(mapping === undefined ? {} : { wholeMapping: mapping }),
    });
  const end = ({ mapping, id }: DesiredTarget, part: Partial<TargetState> = {}, at = elsewhere) =>
    at.note(
      targetState({
        ...{ mapping: mapping.name, target: id, requestId: 'mine' },
        ...{ startedAt: clock.time, endedAt: clock.time },
        ...part,
      }),
    );
  return { clock, states, requests, state, ask, end };
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

describe('a sync request', () => {
  it('a sync request waits for the result of each target, no matter which process runs the target', async () => {
    const { ask, end, requests, clock, states } = open();
    const answer = ask([A, B]);
    expect(requests).toEqual(['a mine', 'b mine']);
    clock.time += 10;
    end(B, failed('TIMEOUT'), states);
    const warnings = [{ code: 'SOURCE_ABSENT', message: 'the search finds nothing' }];
    end(A, { kind: 'updated', keys: [{ name: 'X', action: 'change' }], warnings });
    const { summary, targets, ...rest } = await answer;
    expect(rest).toEqual({
      ...{ ok: false, requestId: 'mine', pending: 0, held: [] },
      warnings: [{ ...warnings[0], mapping: 'a', namespace: 'apps', secret: 'a' }],
    });
    expect(summary).toMatchObject({ updated: 1, failed: 1, unchanged: 0 });
    expect(targets).toMatchObject([
      { mapping: 'a', namespace: 'apps', secret: 'a', outcome: 'updated', keys: [{ name: 'X' }] },
      { mapping: 'b', outcome: 'failed', code: 'TIMEOUT' },
    ]);
  });

  it('a sync request ignores proposals, and runs that began before the request', async () => {
    const { ask, end, clock } = open();
    clock.time = START + 100;
    const answer = ask([A]);
    end(A, { startedAt: START + 99, requestId: 'other' });
    clock.time += 1;
    end(A, { kind: 'held', proposed: true });
    clock.time += 1;
    end(A, { kind: 'deleted', alive: false, requestId: 'of the deletion step' });
    expect(await answer).toMatchObject({ ok: true, summary: { deleted: 1, held: 0 } });
  });

  it('a sync request waits for its own run even if the run of another request ends first, because that run may use reads from before this request', async () => {
    const { ask, end, clock } = open();
    const answer = ask([A]);
    end(A, { requestId: 'other' });
    clock.time += 500;
    await vi.advanceTimersByTimeAsync(500);
    end(A, { kind: 'updated', requestId: 'mine~1' });
    expect(await answer).toMatchObject({ ok: true, summary: { updated: 1, unchanged: 0 } });
  });

  it('a sync request accepts a run that started for another request at the same time, unless a run for this request follows', async () => {
    const { ask, end } = open();
    const answer = ask([A, B]);
    end(A, { kind: 'updated' });
    end(A, { requestId: 'other' });
    end(B, { requestId: 'other' });
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await answer).toMatchObject({ ok: true, pending: 0, summary: { updated: 1, unchanged: 1 } });
  });

  it('a sync request for a mapping returns the held targets of the mapping, including orphans, and no other held targets', async () => {
    const { ask, end, clock } = open();
    const held = { kind: 'held', error: new AppError('HELD').toJSON(), requestId: 'before' } as const;
    const orphan = wanted({ name: 'a', target: { secret: 'left' } });
    end(orphan, held);
    end(wanted({ name: 'other' }), held);
    const whole = ask([A], 'a');
    end(A);
    expect(await whole).toMatchObject({
      ok: false,
      summary: { unchanged: 1, held: 1 },
      targets: [
        { secret: 'a', outcome: 'unchanged' },
        { mapping: 'a', secret: 'left', outcome: 'held', code: 'HELD' },
      ],
      held: [{ id: 'held-left', mapping: 'a' }],
      pending: 0,
    });
    const one = ask([A]);
    clock.time += 1;
    end(A);
    expect(await one).toMatchObject({ ok: true, summary: { held: 0 }, held: [] });
    const itself = ask([A]);
    clock.time += 1;
    end(A, { ...held, requestId: 'mine' });
    expect(await itself).toMatchObject({ ok: false, summary: { held: 1 }, held: [{ id: 'held-a' }] });
    // The mapping has no desired targets any more.
    expect(await ask([], 'other')).toMatchObject({ ok: false, targets: [{ secret: 'other' }], pending: 0 });
  });

  it('a sync request accepts its own run even if the clock of the replica is behind', async () => {
    const { ask, end } = open();
    const answer = ask([A]);
    end(A, { startedAt: START - 5_000, endedAt: START - 4_000, requestId: 'mine' });
    expect(await answer).toMatchObject({ ok: true, pending: 0 });
  });

  it('a sync request returns the number of pending targets after the timeout', async () => {
    const { ask, end } = open();
    const answer = ask([A, B]);
    end(A);
    await vi.advanceTimersByTimeAsync(25_000);
    expect(await answer).toMatchObject({ ok: false, pending: 1, summary: { unchanged: 1 } });
  });

  it('a sync request fails immediately when the queue is down', async () => {
    const { ask, state } = open();
    state.refuse = 'b';
    await expect(ask([A, B])).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
  });

  it('a sync request returns immediately if it has no targets', async () => {
    const { ask } = open();
    expect(await ask([])).toMatchObject({ ok: true, pending: 0, targets: [] });
  });
});
