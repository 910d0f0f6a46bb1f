import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { TargetState } from '../../src/service/target-state.ts';
import { createTargetStates, type TargetStates } from '../../src/service/target-states.ts';
import { createClock, createFakeBroadcast, failed, START, targetState } from './sample.ts';

const APP = { namespace: 'apps', secret: 'app' };
const MANY = Array.from({ length: 200 }, (_, index) => ({
  name: `key-${index}`,
  action: 'remove' as const,
  before: `0123abcd:${'f'.repeat(64)}`,
}));

function open() {
  const clock = createClock();
  const broadcast = createFakeBroadcast();
  const one = createTargetStates(broadcast, clock, () => 'the-id');
  const two = createTargetStates(broadcast, clock, () => 'the-id');
  return { clock, broadcast, one, two };
}

const stateOf = (states: TargetStates) => states.get('app', APP);

describe('the target state stores of two replicas', () => {
  it('replicas share their target states with each other', () => {
    const { one, two } = open();
    const sent = targetState({
      ...failed('TIMEOUT'),
      retryAt: START + 5,
      failures: 3,
      drifted: true,
      person: true,
    });
    one.note(sent);
    expect(stateOf(two)).toEqual(sent);
    expect([...two.all()]).toEqual([sent]);
    two.forget('app', APP);
    expect(stateOf(one)).toBeUndefined();
    expect([...one.all()]).toEqual([]);
  });

  it('replicas send their current target states to a replica that starts later', () => {
    const { one, clock, broadcast } = open();
    one.note(targetState());
    one.noteSweep('sweep/vault/1000/0/1', { at: START, okAt: START });
    const late = createTargetStates(broadcast, clock);
    expect(stateOf(late)).toEqual(targetState());
    expect(late.sweepState('sweep/vault/1000/0/1')).toEqual({ at: START, okAt: START });
    expect([...late.sweeps()].map(([shard]) => shard)).toEqual(['sweep/vault/1000/0/1']);
  });

  it('replicas notify their listeners once of each target state', () => {
    const { one, two } = open();
    const received: string[] = [];
    one.onChange(({ requestId }) => received.push(`one ${requestId}`));
    const stop = two.onChange(({ requestId }) => received.push(`two ${requestId}`));
    one.note(targetState());
    expect(received.sort()).toEqual(['one r1', 'two r1']);
    stop();
    two.note(targetState({ requestId: 'r2', endedAt: START + 1 }));
    expect(received).toEqual(['one r1', 'two r1', 'one r2']);
  });

  it('replicas ignore runs under another configuration, including runs before the start of the replica', () => {
    const clock = createClock();
    const broadcast = createFakeBroadcast();
    const runsBy = { one: 'old', two: 'old' };
    const boardOf = (name: keyof typeof runsBy) =>
      createTargetStates(broadcast, clock, undefined, (mapping) =>
        mapping === 'app' ? runsBy[name] : undefined,
      );
    const [one, two] = [boardOf('one'), boardOf('two')];
    one.note(targetState({ requestId: 'r1' }));
    expect(stateOf(two)?.requestId).toBe('r1');
    const received: string[] = [];
    two.onChange(({ requestId }) => received.push(requestId));
    runsBy.two = 'new';
    one.note(targetState({ requestId: 'r2', endedAt: START + 1 }));
    expect(received).toEqual([]);
    expect(stateOf(boardOf('two'))).toBeUndefined();
    runsBy.one = 'new';
    one.note(targetState({ requestId: 'r3', endedAt: START + 2 }));
    expect(received).toEqual(['r3']);
    expect(stateOf(boardOf('two'))?.requestId).toBe('r3');
    // A replica without the mapping accepts every state.
    one.note(targetState({ mapping: 'other', requestId: 'r4' }));
    expect(two.get('other', APP)?.requestId).toBe('r4');
  });

  it('two replicas that send states at the same time keep the state of the run that ended last', () => {
    const { one, two, broadcast } = open();
    broadcast.late = true;
    one.note(targetState({ requestId: 'early', endedAt: START }));
    two.note(targetState({ requestId: 'late', endedAt: START + 1 }));
    broadcast.deliver();
    expect(stateOf(one)?.requestId).toBe('late');
    expect(stateOf(two)?.requestId).toBe('late');
  });

  it('the target states of replicas converge for any order of the messages', () => {
    const ends = fc.array(fc.record({ by: fc.nat(1), at: fc.nat(50) }), { maxLength: 20 });
    fc.assert(
      fc.property(ends, (all) => {
        const { one, two, broadcast } = open();
        broadcast.late = true;
        let last = -1;
        for (const [index, { by, at }] of all.entries()) {
          // Within one process, states of one target arrive in order.
          last = Math.max(last + 1, at);
          const sent = targetState({
            requestId: `r${index}`,
            startedAt: START + last,
            endedAt: START + last,
          });
          (by === 0 ? one : two).note(sent);
        }
        broadcast.deliver();
        expect(stateOf(one)).toEqual(stateOf(two));
        if (all.length > 0) expect(stateOf(one)?.requestId).toBe(`r${all.length - 1}`);
      }),
    );
  });

  it('replicas continue to share target states when a clock is set back', () => {
    const { one, two, clock } = open();
    clock.time = START + 1_800_000;
    one.note(targetState({ requestId: 'ahead', endedAt: clock.time }));
    one.noteSweep('s', { at: clock.time });
    clock.time = START;
    two.note(targetState({ requestId: 'now', endedAt: START }));
    two.noteSweep('s', { at: START });
    expect([stateOf(one)?.requestId, stateOf(two)?.requestId]).toEqual(['now', 'now']);
    expect([one.sweepState('s')?.at, two.sweepState('s')?.at]).toEqual([START, START]);
  });

  it('a replica keeps the full version of its own state when the shortened message about this state arrives', () => {
    const { one, two } = open();
    one.note(targetState({ kind: 'held', ...failedHeld(), keys: MANY }));
    expect(stateOf(one)?.keys).toHaveLength(200);
    expect(stateOf(two)?.keys.length).toBeLessThan(20);
    expect(stateOf(two)?.heldId).toBe('the-id');
    expect(stateOf(two)?.kind).toBe('held');
  });

  it('replicas forget the sweeps of removed shards', () => {
    const { one, two } = open();
    one.noteSweep('s1', { at: START });
    two.forgetSweep('s1');
    expect([one.sweepState('s1'), [...one.sweeps()], [...two.sweeps()]]).toEqual([undefined, [], []]);
  });

  it('a replica receives no more states after its process has ended', () => {
    const { one, two } = open();
    two[Symbol.dispose]();
    one.note(targetState());
    expect(stateOf(two)).toBeUndefined();
  });
});

const failedHeld = (): Pick<TargetState, 'error'> => ({ error: new AppError('HELD').toJSON() });

describe('a state message', () => {
  const field = 't/app/apps/app';
  const text = (part: object) => JSON.stringify({ ...targetState(), ...part });

  it('a state message always fits the size limit, for any names and any error message', () => {
    const { one, broadcast } = open();
    const long = targetState({
      mapping: 'm'.repeat(63),
      target: { namespace: 'n'.repeat(63), secret: 's'.repeat(253) },
      requestId: 'r'.repeat(64),
      kind: 'failed',
      error: new AppError('BAD_ANSWER', { subject: 'store x', detail: 'd'.repeat(3_000) }).toJSON(),
      keys: MANY,
      resourceVersion: '1'.repeat(20),
      retryAt: START,
      contestedUntil: START,
      proposed: true,
      undecided: true,
      drifted: true,
    });
    one.note(long);
    expect(broadcast.posted.map(([, message]) => message?.length ?? 0)).toEqual([
      expect.toSatisfy((size) => size <= 1_024),
    ]);
    expect(open().one.get('m', APP)).toBeUndefined();
  });

  it('the receiver of a state message restores the remedy from the error code', () => {
    const { one, two, broadcast } = open();
    const error = new AppError('ACCESS_DENIED', { subject: 'store vault' }).toJSON();
    one.note(targetState({ kind: 'failed', error }));
    expect(stateOf(two)?.error).toEqual(error);
    expect(broadcast.posted[0]?.[1]).not.toContain(error.remedy);
  });

  it('a state message contains a remedy that differs from the default of the error code, if the size limit allows it', () => {
    const { one, two, broadcast } = open();
    const refused = (todo: string) =>
      new AppError('CONFLICT', { detail: 'others hold A', remedy: todo }).toJSON();
    const error = refused('Ask the other manager to release the key.');
    one.note(targetState({ kind: 'refused', error }));
    expect(stateOf(two)?.error).toEqual(error);
    one.note(targetState({ kind: 'refused', error, keys: MANY, endedAt: START + 1 }));
    expect(stateOf(two)?.error).toEqual(error);
    one.note(targetState({ kind: 'refused', error: refused('t'.repeat(2_000)), endedAt: START + 2 }));
    expect(stateOf(two)?.error).toEqual(new AppError('CONFLICT', { detail: 'others hold A' }).toJSON());
    expect(Math.max(...broadcast.posted.map(([, message]) => message?.length ?? 0))).toBeLessThanOrEqual(
      1_024,
    );
  });

  it.each([
    ['no JSON', '{'],
    ['a number', '7'],
    ['a list', '[]'],
    ['nothing', 'null'],
    ['a prototype', '{"__proto__":{"mapping":"app"}}'],
    ['an unknown kind', text({ kind: 'exploded' })],
    ['an invalid time', text({ endedAt: 'soon' })],
    ['a time beyond the range of dates', text({ startedAt: 1e300 })],
    ['a time in the future', text({ endedAt: START + 7_200_000 })],
    ['no target', text({ target: null })],
    ['a key without a name', text({ keys: [{ action: 'add' }] })],
    ['an error of another form', text({ error: 'boom' })],
    ['an error with an invalid code', text({ error: { code: '<script>', message: '' } })],
    ['a target that differs from its topic', text({ target: { namespace: 'apps', secret: 'other' } })],
  ])('a state message is ignored if it is invalid: %s', (_, garbage) => {
    const { one, broadcast } = open();
    broadcast.raw(field, garbage);
    expect([...one.all()]).toEqual([]);
    one.note(targetState());
    broadcast.raw(field, garbage);
    expect(stateOf(one)).toEqual(targetState());
  });

  it('the receiver of a state message keeps only the fields that it knows', () => {
    const { one, broadcast } = open();
    const kind = 'held';
    broadcast.raw(
      field,
      text({ kind, password: 'x', keys: [{ name: 'A', action: 'add', value: 'x' }], okAt: 'x' }),
    );
    const { okAt: _, ...rest } = targetState({ kind, keys: [{ name: 'A', action: 'add' }] });
    expect(stateOf(one)).toEqual(rest);
  });

  it('a state message delivers its keys to listeners, but the state store keeps only the keys of held changes', () => {
    const { one, two } = open();
    const received: unknown[] = [];
    two.onChange(({ keys }) => received.push(keys));
    const keys = [{ name: 'A', action: 'add' as const }];
    one.note(targetState({ kind: 'created', keys }));
    one.note(targetState({ kind: 'held', keys, endedAt: START + 1 }));
    expect(received).toEqual([keys, keys]);
    expect(stateOf(two)?.keys).toEqual(keys);
    one.note(targetState({ kind: 'deleted', keys, endedAt: START + 2 }));
    expect(stateOf(one)?.keys).toEqual([]);
  });

  it('a state message contains changed keys first if not all keys fit', () => {
    const { one, two } = open();
    const received: string[][] = [];
    two.onChange(({ keys }) => received.push(keys.map(({ name }) => name)));
    const keys = MANY.map(({ name, before }) => ({ name, action: 'keep' as const, before, after: before }));
    const changed = { name: 'z', action: 'change' as const };
    one.note(targetState({ kind: 'updated', keys: [...keys, changed] }));
    expect(received).toEqual([['key-0', 'key-1', 'key-2', 'z']]);
    expect(stateOf(two)?.keys).toEqual([]);
  });

  it('a state message never damages the state store, no matter which text it contains', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(field, 's/x', '', 't/'),
        fc.oneof(fc.string(), fc.json()),
        (name, garbage) => {
          const { one, broadcast } = open();
          broadcast.raw(name, garbage);
          broadcast.raw('s/x', `{"at":${START + 1e12}}`);
          expect(() => [...one.all(), ...one.sweeps()]).not.toThrow();
          one.noteSweep('x', { at: START });
          expect(one.sweepState('x')).toEqual({ at: START });
        },
      ),
    );
  });
});
