import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { type TargetStates, createTargetStates } from '../../src/service/target-states.ts';
import type { TargetState } from '../../src/service/target-state.ts';
import { createClock, createFakeNotices, failed, known, START } from './sample.ts';

const APP = { namespace: 'apps', secret: 'app' };
const MANY = Array.from({ length: 200 }, (_, index) => ({
  name: `key-${index}`,
  action: 'remove' as const,
  before: `0123abcd:${'f'.repeat(64)}`,
}));

function open() {
  const clock = createClock();
  const notices = createFakeNotices();
  const one = createTargetStates(notices, clock, () => 'the-id');
  const two = createTargetStates(notices, clock, () => 'the-id');
  return { clock, notices, one, two };
}

const seen = (states: TargetStates) => states.get('app', APP);

describe('two boards', () => {
  it('know what either of them was told', () => {
    const { one, two } = open();
    const told = known({
      ...failed('TIMEOUT'),
      retryAt: START + 5,
      failures: 3,
      drifted: true,
      person: true,
    });
    one.note(told);
    expect(seen(two)).toEqual(told);
    expect([...two.all()]).toEqual([told]);
    two.forget('app', APP);
    expect(seen(one)).toBeUndefined();
    expect([...one.all()]).toEqual([]);
  });

  it('tell those who come later what stands', () => {
    const { one, clock, notices } = open();
    one.note(known());
    one.noteSweep('sweep/vault/1000/0/1', { at: START, okAt: START });
    const late = createTargetStates(notices, clock);
    expect(seen(late)).toEqual(known());
    expect(late.sweepState('sweep/vault/1000/0/1')).toEqual({ at: START, okAt: START });
    expect([...late.sweeps()].map(([shard]) => shard)).toEqual(['sweep/vault/1000/0/1']);
  });

  it('tell their listeners of each outcome once', () => {
    const { one, two } = open();
    const heard: string[] = [];
    one.onChange(({ requestId }) => heard.push(`one ${requestId}`));
    const stop = two.onChange(({ requestId }) => heard.push(`two ${requestId}`));
    one.note(known());
    expect(heard.sort()).toEqual(['one r1', 'two r1']);
    stop();
    two.note(known({ requestId: 'r2', endedAt: START + 1 }));
    expect(heard).toEqual(['one r1', 'two r1', 'one r2']);
  });

  it('learn nothing of a target from a run that went by another configuration, in whatever life of a replica', () => {
    const clock = createClock();
    const notices = createFakeNotices();
    const runsBy = { one: 'old', two: 'old' };
    const boardOf = (name: keyof typeof runsBy) =>
      createTargetStates(notices, clock, undefined, (mapping) =>
        mapping === 'app' ? runsBy[name] : undefined,
      );
    const [one, two] = [boardOf('one'), boardOf('two')];
    one.note(known({ requestId: 'r1' }));
    expect(seen(two)?.requestId).toBe('r1');
    const heard: string[] = [];
    two.onChange(({ requestId }) => heard.push(requestId));
    runsBy.two = 'new';
    one.note(known({ requestId: 'r2', endedAt: START + 1 }));
    expect(heard).toEqual([]);
    expect(seen(boardOf('two'))).toBeUndefined();
    runsBy.one = 'new';
    one.note(known({ requestId: 'r3', endedAt: START + 2 }));
    expect(heard).toEqual(['r3']);
    expect(seen(boardOf('two'))?.requestId).toBe('r3');
    // Of a mapping that it does not have, it knows what it is told.
    one.note(known({ mapping: 'other', requestId: 'r4' }));
    expect(two.get('other', APP)?.requestId).toBe('r4');
  });

  it('keep the later of two outcomes that crossed on the way', () => {
    const { one, two, notices } = open();
    notices.late = true;
    one.note(known({ requestId: 'early', endedAt: START }));
    two.note(known({ requestId: 'late', endedAt: START + 1 }));
    notices.deliver();
    expect(seen(one)?.requestId).toBe('late');
    expect(seen(two)?.requestId).toBe('late');
  });

  it('agree in the end, in whatever order the notices come', () => {
    const ends = fc.array(fc.record({ by: fc.nat(1), at: fc.nat(50) }), { maxLength: 20 });
    fc.assert(
      fc.property(ends, (all) => {
        const { one, two, notices } = open();
        notices.late = true;
        let last = -1;
        for (const [index, { by, at }] of all.entries()) {
          // Within one process outcomes of one target come one after another.
          last = Math.max(last + 1, at);
          const told = known({ requestId: `r${index}`, startedAt: START + last, endedAt: START + last });
          (by === 0 ? one : two).note(told);
        }
        notices.deliver();
        expect(seen(one)).toEqual(seen(two));
        if (all.length > 0) expect(seen(one)?.requestId).toBe(`r${all.length - 1}`);
      }),
    );
  });

  it('go on when a clock is set back', () => {
    const { one, two, clock } = open();
    clock.time = START + 1_800_000;
    one.note(known({ requestId: 'ahead', endedAt: clock.time }));
    one.noteSweep('s', { at: clock.time });
    clock.time = START;
    two.note(known({ requestId: 'now', endedAt: START }));
    two.noteSweep('s', { at: START });
    expect([seen(one)?.requestId, seen(two)?.requestId]).toEqual(['now', 'now']);
    expect([one.sweepState('s')?.at, two.sweepState('s')?.at]).toEqual([START, START]);
  });

  it('keep what they know themselves, although the notice was shortened', () => {
    const { one, two } = open();
    one.note(known({ kind: 'held', ...failedHeld(), keys: MANY }));
    expect(seen(one)?.keys).toHaveLength(200);
    expect(seen(two)?.keys.length).toBeLessThan(20);
    expect(seen(two)?.heldId).toBe('the-id');
    expect(seen(two)?.kind).toBe('held');
  });

  it('forget the sweeps of shards that are gone', () => {
    const { one, two } = open();
    one.noteSweep('s1', { at: START });
    two.forgetSweep('s1');
    expect([one.sweepState('s1'), [...one.sweeps()], [...two.sweeps()]]).toEqual([undefined, [], []]);
  });

  it('end with their process', () => {
    const { one, two } = open();
    two[Symbol.dispose]();
    one.note(known());
    expect(seen(two)).toBeUndefined();
  });
});

const failedHeld = (): Pick<TargetState, 'error'> => ({ error: new AppError('HELD').toJSON() });

describe('a notice', () => {
  const field = 't/app/apps/app';
  const text = (part: object) => JSON.stringify({ ...known(), ...part });

  it('is never too long to be told, whatever the names and the message', () => {
    const { one, notices } = open();
    const long = known({
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
    expect(notices.posted.map(([, told]) => told?.length ?? 0)).toEqual([
      expect.toSatisfy((it) => it <= 1_024),
    ]);
    expect(open().one.get('m', APP)).toBeUndefined();
  });

  it('says again what to do, by the code', () => {
    const { one, two, notices } = open();
    const error = new AppError('ACCESS_DENIED', { subject: 'store vault' }).toJSON();
    one.note(known({ kind: 'failed', error }));
    expect(seen(two)?.error).toEqual(error);
    expect(notices.posted[0]?.[1]).not.toContain(error.remedy);
  });

  it('says what to do in this case, where the code says something else, as long as there is room', () => {
    const { one, two, notices } = open();
    const refused = (todo: string) =>
      new AppError('CONFLICT', { detail: 'others hold A', remedy: todo }).toJSON();
    const error = refused('Have whoever holds it let it go.');
    one.note(known({ kind: 'refused', error }));
    expect(seen(two)?.error).toEqual(error);
    one.note(known({ kind: 'refused', error, keys: MANY, endedAt: START + 1 }));
    expect(seen(two)?.error).toEqual(error);
    one.note(known({ kind: 'refused', error: refused('t'.repeat(2_000)), endedAt: START + 2 }));
    expect(seen(two)?.error).toEqual(new AppError('CONFLICT', { detail: 'others hold A' }).toJSON());
    expect(Math.max(...notices.posted.map(([, told]) => told?.length ?? 0))).toBeLessThanOrEqual(1_024);
  });

  it.each([
    ['no JSON', '{'],
    ['a number', '7'],
    ['a list', '[]'],
    ['nothing', 'null'],
    ['a prototype', '{"__proto__":{"mapping":"app"}}'],
    ['a kind that there is not', text({ kind: 'exploded' })],
    ['a time that is no time', text({ endedAt: 'soon' })],
    ['a time beyond all times', text({ startedAt: 1e300 })],
    ['a time that is yet to come', text({ endedAt: START + 7_200_000 })],
    ['no target', text({ target: null })],
    ['a key without a name', text({ keys: [{ action: 'add' }] })],
    ['an error of another form', text({ error: 'boom' })],
    ['an error with a code that is none', text({ error: { code: '<script>', message: '' } })],
    ['another target than its field', text({ target: { namespace: 'apps', secret: 'other' } })],
  ])('that is not one is ignored: %s', (_, garbage) => {
    const { one, notices } = open();
    notices.raw(field, garbage);
    expect([...one.all()]).toEqual([]);
    one.note(known());
    notices.raw(field, garbage);
    expect(seen(one)).toEqual(known());
  });

  it('is taken over with its known members only', () => {
    const { one, notices } = open();
    const kind = 'held';
    notices.raw(
      field,
      text({ kind, password: 'x', keys: [{ name: 'A', action: 'add', value: 'x' }], okAt: 'x' }),
    );
    const { okAt: _, ...rest } = known({ kind, keys: [{ name: 'A', action: 'add' }] });
    expect(seen(one)).toEqual(rest);
  });

  it('tells the keys to whoever listens, and keeps those of what is open only', () => {
    const { one, two } = open();
    const told: unknown[] = [];
    two.onChange(({ keys }) => told.push(keys));
    const keys = [{ name: 'A', action: 'add' as const }];
    one.note(known({ kind: 'created', keys }));
    one.note(known({ kind: 'held', keys, endedAt: START + 1 }));
    expect(told).toEqual([keys, keys]);
    expect(seen(two)?.keys).toEqual(keys);
    one.note(known({ kind: 'deleted', keys, endedAt: START + 2 }));
    expect(seen(one)?.keys).toEqual([]);
  });

  it('without room for all of the keys tells what changed first', () => {
    const { one, two } = open();
    const told: string[][] = [];
    two.onChange(({ keys }) => told.push(keys.map(({ name }) => name)));
    const keys = MANY.map(({ name, before }) => ({ name, action: 'keep' as const, before, after: before }));
    const changed = { name: 'z', action: 'change' as const };
    one.note(known({ kind: 'updated', keys: [...keys, changed] }));
    expect(told).toEqual([['key-0', 'key-1', 'key-2', 'z']]);
    expect(seen(two)?.keys).toEqual([]);
  });

  it('never breaks a states, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(field, 's/x', '', 't/'),
        fc.oneof(fc.string(), fc.json()),
        (name, garbage) => {
          const { one, notices } = open();
          notices.raw(name, garbage);
          notices.raw('s/x', `{"at":${START + 1e12}}`);
          expect(() => [...one.all(), ...one.sweeps()]).not.toThrow();
          one.noteSweep('x', { at: START });
          expect(one.sweepState('x')).toEqual({ at: START });
        },
      ),
    );
  });
});
