import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/core/error-codes.ts';
import { AppError } from '../../src/core/errors.ts';
import { createFingerprinter } from '../../src/core/fingerprint.ts';
import { type ReadResult, refId, type StoreRef } from '../../src/core/read-result.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { silentLogger } from '../../src/log/logger.ts';
import { createReadDeduplication } from '../../src/reconcile/read-deduplication.ts';
import type { DesiredTarget } from '../../src/reconcile/targets.ts';
import { createTargetStates } from '../../src/service/target-states.ts';
import { createConfigSnapshot } from '../../src/service/config-snapshot.ts';
import type { SyncContext } from '../../src/service/runs/sync-context.ts';
import { createSourceAges } from '../../src/service/sweep/source-ages.ts';
import { createSweep } from '../../src/service/sweep/sweep.ts';
import { source } from '../sync/sample.ts';
import {
  createClock,
  createFakeNotices,
  createTriggers,
  failed,
  known,
  meta,
  START,
  wanted,
} from './sample.ts';

const A = wanted({ name: 'a', data: { A: source({ key: 'a' }) } });
const B = wanted({ name: 'b', data: { B: source({ key: 'b' }) } });
const BOTH = wanted({ name: 'both', data: { A: source({ key: 'a' }), B: source({ key: 'b' }) } });
const AWAY: ErrorCode = 'STORE_UNAVAILABLE';

const FINGERPRINTS = createFingerprinter(SecretValue.fromText('0123456789abcdef0123456789abcdef'));

/** A store without values: of each key its version, `absent`, or the code of its failure. */
interface Shelf {
  readonly keys: Map<string, string | { readonly code: ErrorCode }>;
  /** What the list says, where it says another thing. */
  readonly listed: Map<string, string | undefined>;
  readonly reads: string[];
  /** How many were read at once. */
  readonly parts: number[];
  lists: number;
  /** Of how many it was asked at once whether they fail. */
  mostAsked: number;
  /** The same before anything else of the process got its turn. */
  mostInTurn: number;
  /** When each version was made, where the list tells. */
  madeAt?: number;
  /** Of each value. */
  bytes: number;
  /** What each byte of it is. */
  fill: string;
}

function openSweep(all: readonly DesiredTarget[], tells = false) {
  const clock = createClock();
  const states = createTargetStates(createFakeNotices(), clock);
  const triggers = createTriggers();
  /** Since when a target waits for its run, by its name. */
  const open = new Map<string, number>();
  const shelf: Shelf = {
    keys: new Map(),
    listed: new Map(),
    reads: [],
    parts: [],
    lists: 0,
    mostAsked: 0,
    mostInTurn: 0,
    bytes: 1,
    fill: 'x',
  };
  const asked: string[] = [];
  const ages = createSourceAges({ clock, logger: silentLogger });
  const state = { snapshot: createConfigSnapshot([], all, () => tells), isDown: false };
  const sweep = createSweep({
    snapshot: () => state.snapshot,
    states,
    outbox: { ...triggers, requestedAt: ({ secret }) => open.get(secret) },
    clock,
    ages,
    checkPins: async (requestId) => void asked.push(requestId),
    tellsVersions: () => tells,
    isDown: () => state.isDown,
  });
  const read = ({ ref }: StoreRef): ReadResult => {
    shelf.reads.push(ref.version === undefined ? ref.key : `${ref.key}@${ref.version}`);
    const it = shelf.keys.get(ref.key) ?? 'absent';
    if (it === 'absent') return { kind: 'absent' };
    if (typeof it === 'object') return { kind: 'failed', error: new AppError(it.code) };
    return {
      kind: 'found',
      value: SecretValue.fromBytes(Buffer.alloc(shelf.bytes, shelf.fill)),
      version: ref.version ?? it,
      ...(shelf.madeAt === undefined ? {} : { createdAt: shelf.madeAt }),
    };
  };
  const replacedValues = new Set<string>();
  const readings = createReadDeduplication(async () => undefined);
  let asking = 0;
  let inTurn = 0;
  const isFailing = async (ref: StoreRef): Promise<boolean> => {
    if (inTurn === 0)
      setImmediate(() => {
        inTurn = 0;
      });
    inTurn += 1;
    shelf.mostInTurn = Math.max(shelf.mostInTurn, inTurn);
    asking += 1;
    shelf.mostAsked = Math.max(shelf.mostAsked, asking);
    await Promise.resolve();
    asking -= 1;
    return readings.isFailing(ref) === true;
  };
  const context = {
    fingerprints: FINGERPRINTS,
    recorder: { replacedValues, isFailing },
    async read(refs: readonly StoreRef[]) {
      shelf.parts.push(refs.length);
      const results = new Map(refs.map((ref) => [refId(ref), read(ref)]));
      for (const ref of refs) readings.setFailing(ref, results.get(refId(ref))?.kind === 'failed');
      return results;
    },
    async versions(_: string, keys: readonly string[]) {
      shelf.lists += 1;
      return keys.map((key) => {
        const version = shelf.listed.has(key) ? shelf.listed.get(key) : shelf.keys.get(key);
        const times = shelf.madeAt === undefined ? {} : { createdAt: shelf.madeAt };
        return typeof version === 'string' && version !== 'absent'
          ? { kind: 'known', version, ...times }
          : { kind: 'unknown' };
      });
    },
  };
  /** One round of every shard; the targets that are looked at because of it. */
  const round = async (ms = 300_000) => {
    clock.time += ms;
    const codes: (string | undefined)[] = [];
    for (const [name, shard] of state.snapshot.shards) {
      const job = { subject: name, reason: 'sweep', requestId: `r${clock.time}` } as const;
      const { code } = await sweep(shard, name, job, context as unknown as SyncContext);
      codes.push(code);
    }
    const due = triggers.taken().map((it) => it.replace('sweep apps/', ''));
    return codes.some((code) => code !== undefined) ? [...due, ...codes] : due.sort();
  };
  const note = (it: DesiredTarget, part: Parameters<typeof known>[0] = {}) =>
    states.note(
      known({
        mapping: it.mapping.name,
        target: it.id,
        startedAt: clock.time,
        endedAt: clock.time,
        okAt: clock.time,
        ...part,
      }),
    );
  return { clock, states, shelf, state, round, note, asked, open, ages, replacedValues };
}

describe('a sweep', () => {
  it('asks the audit about as many keys as go in one question, so that writes do not wait behind all of them', async () => {
    const keys = Array.from({ length: 500 }, (_, index) => `key-${index}`);
    const data = Object.fromEntries(keys.map((key) => [key, source({ key })]));
    const { round, shelf } = openSweep([wanted({ name: 'many', data })], true);
    for (const key of keys) shelf.keys.set(key, '1');
    await round();
    expect([shelf.reads, shelf.mostAsked]).toEqual([[], 50]);
  });

  it('lets probes and writes come in between, where the audit is a file that answers at once', async () => {
    const keys = Array.from({ length: 500 }, (_, index) => `key-${index}`);
    const data = Object.fromEntries(keys.map((key) => [key, source({ key })]));
    const { round, shelf } = openSweep([wanted({ name: 'many', data })], true);
    for (const key of keys) shelf.keys.set(key, '1');
    await round();
    expect(shelf.mostInTurn).toBe(50);
  });

  it('knows how old a value is that it has not read, where a list tells', async () => {
    const { states, shelf, round, ages } = openSweep([A], true);
    states.setMeta(meta(A, { A: ['a', '1'] }));
    shelf.keys.set('a', '1');
    await round();
    expect(ages.changedAt(A.mapping)).toBeUndefined();
    shelf.madeAt = START - 5;
    await round();
    expect(ages.changedAt(A.mapping)).toBe(START - 5);
    expect(shelf.reads).toEqual([]);
  });

  it.each([
    ['small', 10, 400],
    ['large', 2 ** 20, 400],
    ['of all the room', 2 ** 23, 100],
  ])('reads every key once, and at once no more than there is room for: %s', async (_, bytes, count) => {
    const names = Array.from({ length: count }, (_, n) => `k${n}`);
    const data = Object.fromEntries(names.map((name) => [name, source({ key: name })]));
    const { shelf, round } = openSweep([wanted({ name: 'a', data })]);
    for (const name of names) shelf.keys.set(name, '1');
    shelf.bytes = bytes;
    await round();
    expect(shelf.reads.toSorted()).toEqual(names.toSorted());
    // Of what it has not seen it reads a few, in each shard.
    const later = shelf.parts.filter((size) => size !== 5);
    expect(Math.max(...later) * bytes).toBeLessThanOrEqual(Math.max(2 ** 22, bytes));
    if (bytes === 10) expect(shelf.parts.length).toBeLessThan(40);
  });

  it.each([
    ['reads', false],
    ['asks for versions', true],
  ])('that %s looks at exactly the targets whose sources have changed', async (_, tells) => {
    const { states, shelf, round } = openSweep([A, B, BOTH], tells);
    shelf.keys.set('a', '1').set('b', '1');
    states.setMeta(meta(A, { A: ['a', '1'] }));
    states.setMeta(meta(B, { B: ['b', '1'] }));
    states.setMeta(meta(BOTH, { A: ['a', '1'], B: ['b', '1'] }));
    expect(await round()).toEqual([]);
    shelf.keys.set('a', '2');
    expect(await round()).toEqual(['a', 'both']);
    // Until a run has seen it: a lost job is asked for again.
    expect(await round()).toEqual(['a', 'both']);
    states.setMeta(meta(A, { A: ['a', '2'] }));
    states.setMeta(meta(BOTH, { A: ['a', '2'], B: ['b', '1'] }));
    expect(await round()).toEqual([]);
  });

  it('does not ask again for what is still to be made and waits for that, unless there is news', async () => {
    const { shelf, round, open, note } = openSweep([A, B]);
    shelf.keys.set('a', '1').set('b', '1');
    open.set('a', START);
    expect(await round()).toEqual(['b']);
    expect(await round()).toEqual(['b']);
    shelf.keys.set('a', '2');
    expect(await round()).toEqual(['a', 'b']);
    // Nobody waits any more: it ran, and is not there.
    open.delete('a');
    note(A);
    expect(await round()).toEqual(['a', 'b']);
    // It ran before, so what waits may be an older wish.
    open.set('a', START);
    expect(await round()).toEqual(['a', 'b']);
  });

  it('reads each reference once for all, and none whose version a list tells', async () => {
    const many = Array.from({ length: 50 }, (_, index) => ({
      ...A,
      id: { namespace: `n${index}`, secret: 'a' },
    }));
    const plain = openSweep(many);
    plain.shelf.keys.set('a', '1');
    await plain.round();
    expect(plain.shelf.reads).toEqual(['a']);
    const told = openSweep([...many, B], true);
    told.shelf.keys.set('a', '1').set('b', '1');
    await told.round();
    expect([told.shelf.reads, told.shelf.lists]).toEqual([[], 1]);
  });

  it('learns no age of a key from a version that a mapping names', async () => {
    const old = wanted({ name: 'old', data: { OLD: source({ key: 'a', version: '1' }) } });
    const { shelf, round, ages } = openSweep([A, old]);
    shelf.keys.set('a', '2');
    shelf.madeAt = START;
    await round();
    expect(ages.changedAt(A.mapping)).toBe(START);
    const alone = openSweep([old]);
    alone.shelf.keys.set('a', '2');
    alone.shelf.madeAt = START;
    await alone.round();
    expect(alone.ages.changedAt(A.mapping)).toBeUndefined();
  });

  it('reads what a list cannot tell', async () => {
    const old = wanted({ name: 'old', data: { OLD: source({ key: 'a', version: '1' }) } });
    const { shelf, round } = openSweep([A, B, old], true);
    shelf.keys.set('a', '2').set('b', 'absent');
    await round();
    expect(shelf.reads.sort()).toEqual(['a@1', 'b']);
  });

  it('sees a key that was made anew and counts its versions from 1 again', async () => {
    const { states, shelf, round, note, clock } = openSweep([A, B]);
    shelf.keys.set('a', '1').set('b', '1');
    for (const it of [A, B]) states.setMeta(meta(it, it === A ? { A: ['a', '1'] } : { B: ['b', '1'] }));
    expect([await round(), await round()]).toEqual([[], []]);
    shelf.fill = 'y';
    expect(await round()).toEqual(['a', 'b']);
    clock.time += 10;
    for (const it of [A, B]) note(it);
    expect([await round(), await round()]).toEqual([[], []]);
  });

  it('sees one that was made anew before this process read it for the first time', async () => {
    const { states, shelf, round, replacedValues } = openSweep([A]);
    shelf.keys.set('a', '1');
    states.setMeta(meta(A, { A: ['a', '1'] }));
    replacedValues.add(refId({ store: 'vault', ref: { key: 'a' } }));
    expect(await round()).toEqual(['a']);
    // It stays on record; once is enough.
    expect(await round()).toEqual([]);
  });

  it('has each reading of an absence lead to a look, although the target waits for its retry', async () => {
    const { states, shelf, round, note, clock } = openSweep([A]);
    shelf.keys.set('a', 'absent');
    states.setMeta(meta(A, { A: ['a', '1'] }));
    for (let times = 0; times < 3; times += 1) {
      expect(await round()).toEqual(['a']);
      note(A, { ...failed('SOURCE_ABSENT'), retryAt: clock.time + 3_600_000 });
    }
  });

  it('counts what is deleted and recoverable as absent only where the mapping does', async () => {
    const soft = wanted({ name: 'soft', data: { A: source({ key: 'a' }) }, softDeletedIsMissing: true });
    const { states, shelf, round, note, clock } = openSweep([A, soft]);
    shelf.keys.set('a', { code: 'SOURCE_DELETED' });
    for (const it of [A, soft]) {
      states.setMeta(meta(it, { A: ['a', '1'] }));
      note(it, { ...failed('SOURCE_DELETED'), retryAt: clock.time + 3_600_000 });
    }
    expect(await round()).toEqual(['soft']);
    expect(await round()).toEqual(['soft']);
  });

  it('lets an absent source be from which the target was never made', async () => {
    const optional = wanted({
      name: 'o',
      data: { A: source({ key: 'a', optional: true }), B: source({ key: 'b' }) },
    });
    const { states, shelf, round } = openSweep([optional]);
    shelf.keys.set('b', '1');
    states.setMeta(meta(optional, { B: ['b', '1'] }));
    expect(await round()).toEqual([]);
    shelf.keys.set('a', '1');
    expect(await round()).toEqual(['o']);
  });

  it('looks once, and not in each round, where the annotation cannot be compared', async () => {
    const shared = wanted({
      name: 's',
      data: { A: source({ key: 'a' }), OLD: source({ key: 'a', version: '1' }) },
    });
    const { states, shelf, round, note, clock } = openSweep([shared]);
    shelf.keys.set('a', '2');
    states.setMeta(meta(shared, { A: ['a', '2'], OLD: ['a', '1'] }));
    expect(await round()).toEqual(['s']);
    clock.time += 10;
    note(shared);
    expect([await round(), await round()]).toEqual([[], []]);
    shelf.keys.set('a', '3');
    expect(await round()).toEqual(['s']);
  });

  it('goes on looking while a list tells of what a read may not have seen yet', async () => {
    const optional = wanted({ name: 'o', data: { A: source({ key: 'a', optional: true }) } });
    const { states, shelf, round, note, clock } = openSweep([optional], true);
    states.setMeta(meta(optional));
    shelf.listed.set('a', '1');
    expect(await round()).toEqual(['o']);
    clock.time += 1_000;
    note(optional);
    expect(await round()).toEqual(['o']);
    clock.time += 1_000;
    note(optional);
    expect(await round()).toEqual([]);
  });

  it('has what was made under another fingerprint key compared by data, and then sees changes again', async () => {
    const print = (key: string, value: string) => `${key.repeat(8)}:${value.repeat(64)}`;
    const { states, shelf, round, note, clock } = openSweep([A]);
    states.setMeta(meta(A, { A: ['a', print('1', 'a')] }));
    shelf.keys.set('a', print('2', 'a'));
    expect(await round()).toEqual(['a']);
    clock.time += 10;
    // Nothing is written for it, so that the annotation stays as it is.
    note(A);
    expect(await round()).toEqual([]);
    shelf.keys.set('a', print('2', 'b'));
    expect(await round()).toEqual(['a']);
  });

  it('does not hammer a target that fails, until something changes', async () => {
    const { states, shelf, round, note, clock } = openSweep([A, B]);
    shelf.keys.set('a', { code: 'ACCESS_DENIED' }).set('b', '1');
    states.setMeta(meta(A, { A: ['a', '1'] }));
    states.setMeta(meta(B, { B: ['b', '1'] }));
    expect(await round()).toEqual(['a']);
    note(A, { ...failed('ACCESS_DENIED'), retryAt: clock.time + 3_600_000 });
    expect([await round(), await round()]).toEqual([[], []]);
    shelf.keys.set('a', '1');
    expect(await round()).toEqual(['a']);
  });

  it.each([
    ['when the store is known to be down', true],
    ['when nothing in the shard could be asked for', false],
  ])('looks at nobody in an outage, %s, and says so', async (_, isDown) => {
    const { states, shelf, round, state } = openSweep([A, B]);
    shelf.keys.set('a', '1').set('b', '1');
    states.setMeta(meta(A, { A: ['a', '1'] }));
    states.setMeta(meta(B, { B: ['b', '1'] }));
    await round();
    const [name = ''] = state.snapshot.shards.keys();
    const okAt = states.sweepState(name)?.okAt;
    state.isDown = isDown;
    shelf.keys.set('a', { code: AWAY }).set('b', { code: AWAY });
    expect(await round()).toEqual([AWAY]);
    expect(states.sweepState(name)).toMatchObject({ okAt, code: AWAY });
    state.isDown = false;
    shelf.keys.set('a', '1').set('b', '2');
    expect(await round()).toEqual(['b']);
    expect(states.sweepState(name)?.code).toBeUndefined();
  });

  it('looks at the targets of one key that fails while the others do not', async () => {
    const { states, shelf, round } = openSweep([A, B]);
    shelf.keys.set('a', { code: AWAY }).set('b', '1');
    states.setMeta(meta(A, { A: ['a', '1'] }));
    states.setMeta(meta(B, { B: ['b', '1'] }));
    expect(await round()).toEqual(['a']);
  });

  it('runs searches and merges whole, unless they wait for their retry', async () => {
    const search = wanted({ name: 's', dataFrom: [{ store: 'vault', find: { path: 'x', tags: {} } }] });
    const merge = wanted({ name: 'm', data: { A: source({ key: 'a' }) }, target: { mode: 'merge' } });
    const { round, note, clock, shelf } = openSweep([search, merge]);
    expect(await round()).toEqual(['m', 's']);
    note(search, { ...failed('ACCESS_DENIED'), retryAt: clock.time + 600_000 });
    expect(await round()).toEqual(['m']);
    expect(await round()).toEqual(['m', 's']);
    expect(shelf.reads).toEqual([]);
  });

  it.each(['KEY_INVALID', 'PROPERTY_MISSING', 'SOURCE_ABSENT', 'SOURCE_DISABLED', 'VERSION_GONE'] as const)(
    'runs a search or a merge in each round while its sources give %s, since nothing else sees them mended',
    async (code) => {
      const search = wanted({ name: 's', dataFrom: [{ store: 'vault', find: { path: 'x', tags: {} } }] });
      const merge = wanted({ name: 'm', data: { A: source({ key: 'a' }) }, target: { mode: 'merge' } });
      const { round, note, clock, state } = openSweep([search, merge]);
      for (const it of [search, merge])
        note(it, { ...failed(code), person: true, retryAt: clock.time + 3_600_000 });
      expect(await round()).toEqual(['m', 's']);
      expect(await round()).toEqual(['m', 's']);
      note(merge, { ...failed('NOT_OWNED'), person: true, retryAt: clock.time + 3_600_000 });
      expect(await round()).toEqual(['s']);
      state.isDown = true;
      expect(await round()).toEqual([]);
    },
  );

  it('looks once at what failed before its sources were found for the first time', async () => {
    const { states, shelf, round, note, clock } = openSweep([A, B]);
    shelf.keys.set('a', '2').set('b', { code: 'ACCESS_DENIED' });
    states.setMeta(meta(A, { A: ['a', '1'] }));
    states.setMeta(meta(B, { B: ['b', '1'] }));
    note(A, { ...failed('PROPERTY_MISSING'), person: true, retryAt: clock.time + 3_600_000 });
    note(B, { ...failed('ACCESS_DENIED'), person: true, retryAt: clock.time + 3_600_000 });
    expect(await round()).toEqual(['a']);
    expect(await round()).toEqual([]);
    shelf.keys.set('b', '1');
    expect(await round()).toEqual(['b']);
  });

  it('looks once also where its sources are in many shards, when all of them were found', async () => {
    const keys = Array.from({ length: 60 }, (_, n) => `k${n}`);
    const many = wanted({
      name: 'many',
      data: Object.fromEntries(keys.map((key) => [key.toUpperCase(), source({ key })])),
    });
    const { states, shelf, round, note, clock, state } = openSweep([many]);
    expect(state.snapshot.shards.size).toBe(4);
    for (const key of keys) shelf.keys.set(key, '1');
    shelf.keys.set('k7', { code: 'ACCESS_DENIED' });
    states.setMeta(meta(many, Object.fromEntries(keys.map((key) => [key.toUpperCase(), [key, '1']]))));
    note(many, { ...failed('NOT_OWNED'), person: true, retryAt: clock.time + 3_600_000 });
    expect(await round()).toEqual([]);
    shelf.keys.set('k7', '1');
    expect(await round()).toEqual(['many']);
    expect(await round()).toEqual([]);
    const again = openSweep([many]);
    for (const key of keys) again.shelf.keys.set(key, '1');
    again.note(many, { ...failed('NOT_OWNED'), person: true, retryAt: again.clock.time + 3_600_000 });
    expect(await again.round()).toEqual(['many']);
    expect(await again.round()).toEqual([]);
  });

  it('leaves what may mend itself to its own time at first, too', async () => {
    const { states, shelf, round, note, clock } = openSweep([A]);
    shelf.keys.set('a', '1');
    states.setMeta(meta(A, { A: ['a', '1'] }));
    note(A, { ...failed('CLUSTER_UNAVAILABLE'), retryAt: clock.time + 600_000 });
    expect(await round()).toEqual([]);
  });

  it('looks at what is not there, unless it waits for its retry', async () => {
    const { shelf, round, note, clock } = openSweep([A]);
    shelf.keys.set('a', '1');
    expect(await round()).toEqual(['a']);
    note(A, { ...failed('NAMESPACE_MISSING'), alive: false, retryAt: clock.time + 3_600_000 });
    expect(await round()).toEqual([]);
  });

  it('looks once at each certificate after a start, so that its end is known', async () => {
    const tls = wanted({
      name: 't',
      data: { A: source({ key: 'a' }) },
      target: { type: 'kubernetes.io/tls' },
    });
    const { states, shelf, round, note } = openSweep([tls]);
    shelf.keys.set('a', '1');
    states.setMeta(meta(tls, { A: ['a', '1'] }));
    expect(await round()).toEqual(['t']);
    note(tls);
    expect(await round()).toEqual([]);
  });

  it('forgets, after a change of the configuration, the shards that are long gone and keeps those of others', async () => {
    const { states, shelf, round, state, clock } = openSweep([A]);
    shelf.keys.set('a', '1');
    await round();
    const [gone = ''] = state.snapshot.shards.keys();
    const ofAnother = 'sweep/vault/600000/0/1';
    states.noteSweep(ofAnother, { at: clock.time });
    clock.time += 1_000_000;
    state.snapshot = createConfigSnapshot(
      [],
      [wanted({ name: 'a', refreshMs: 60_000, data: A.mapping.data })],
      () => false,
    );
    await round();
    const shards = [...states.sweeps()].map(([name]) => name);
    expect(shards).not.toContain(gone);
    expect(shards).toContain(ofAnother);
    expect(shards).toHaveLength(2);
  });

  it('takes a moment for 10,000 targets of one key, and for one target of 1,000 keys', async () => {
    const many = Array.from({ length: 10_000 }, (_, index) => ({
      ...A,
      id: { namespace: `n${index}`, secret: 'a' },
    }));
    const names = Array.from({ length: 1_000 }, (_, index) => `k${index}`);
    const wide = wanted({
      name: 'wide',
      data: Object.fromEntries(names.map((key) => [key, source({ key })])),
    });
    const { states, shelf, round } = openSweep([...many, wide]);
    shelf.keys.set('a', '1');
    for (const it of many) states.setMeta(meta(it, { A: ['a', '1'] }));
    for (const key of names) shelf.keys.set(key, '1');
    states.setMeta(meta(wide, Object.fromEntries(names.map((key) => [key, [key, '1'] as const]))));
    const began = performance.now();
    expect(await round()).toEqual([]);
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(shelf.reads).toHaveLength(1_001);
  });

  it('tells the states when it found all in order', async () => {
    const { states, shelf, round, state, clock } = openSweep([A]);
    shelf.keys.set('a', '1');
    clock.time = START;
    await round(5);
    const [name = ''] = state.snapshot.shards.keys();
    expect(states.sweepState(name)).toEqual({ at: START + 5, okAt: START + 5 });
  });

  it.each([
    ['reads', false, 1],
    // A read may give what was there before for a minute after a list tells of something new.
    ['asks for versions', true, 2],
  ])(
    'that %s leaves a pinned target where it is: a new version costs a look, and no round does',
    async (_, tells, looks) => {
      const { states, shelf, round, note } = openSweep([A], tells);
      shelf.keys.set('a', '2');
      states.setMeta(meta(A, { A: ['a', '1'] }));
      note(A, { pinned: 7 });
      const rounds = async (): Promise<number> => {
        let due = 0;
        for (let times = 0; times < 5; times += 1) {
          const found = (await round()).length;
          due += found;
          if (found > 0) note(A, { pinned: 7 });
        }
        return due;
      };
      expect(await rounds()).toBe(looks);
      expect(await rounds()).toBe(0);
      shelf.keys.set('a', '3');
      expect(await rounds()).toBe(looks);
      expect(await rounds()).toBe(0);
    },
  );

  it('sees a change of what a pinned target follows still, also one from before its first round', async () => {
    const { states, shelf, round, note } = openSweep([BOTH]);
    shelf.keys.set('a', '9').set('b', '2');
    // `b` came to the mapping later: the record does not name it.
    states.setMeta(meta(BOTH, { A: ['a', '1'], B: ['b', '1'] }));
    note(BOTH, { pinned: 7 });
    expect(await round()).toEqual(['both']);
    note(BOTH, { pinned: 7 });
    expect(await round()).toEqual([]);
  });

  it('looks for pins that were said elsewhere', async () => {
    const { round, asked } = openSweep([A]);
    await round();
    expect(asked).toHaveLength(1);
  });
});

it('what could not be read is read again once the list tells of it, so that the end of that is on record as well', async () => {
  const { shelf, round } = openSweep([BOTH], true);
  for (const key of ['a', 'b']) shelf.keys.set(key, '1');
  await round();
  expect(shelf.reads).toEqual([]);
  // Neither the list nor the values can be had.
  for (const key of ['a', 'b']) shelf.keys.set(key, { code: AWAY });
  await round();
  expect(shelf.reads.splice(0)).toEqual(['a', 'b']);
  for (const key of ['a', 'b']) shelf.keys.set(key, '1');
  await round();
  expect(shelf.reads.splice(0)).toEqual(['a', 'b']);
  await round();
  expect(shelf.reads).toEqual([]);
});

it('what a list tells of is no outage where it cannot be read again yet, and nobody is looked at for it', async () => {
  const { states, shelf, round } = openSweep([A, B], true);
  shelf.keys.set('a', '1').set('b', '1');
  states.setMeta(meta(A, { A: ['a', '1'] }));
  states.setMeta(meta(B, { B: ['b', '1'] }));
  expect(await round()).toEqual([]);
  shelf.keys.set('a', { code: AWAY }).set('b', { code: AWAY });
  expect(await round()).toEqual([AWAY]);
  shelf.listed.set('a', '1').set('b', '1');
  shelf.reads.splice(0);
  expect(await round()).toEqual([]);
  expect(shelf.reads).toEqual(['a', 'b']);
});
