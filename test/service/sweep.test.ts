import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/core/error-codes.ts';
import { AppError } from '../../src/core/errors.ts';
import { createFingerprinter } from '../../src/core/fingerprint.ts';
import { type ReadResult, refId, type StoreRef } from '../../src/core/read-result.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import type { SyncContext } from '../../src/reconcile/context.ts';
import { createReadDeduplication } from '../../src/reconcile/read-deduplication.ts';
import type { DesiredTarget } from '../../src/reconcile/targets.ts';
import { createConfigSnapshot } from '../../src/service/config-snapshot.ts';
import { SourceAges } from '../../src/service/sweep/source-ages.ts';
import { createSweep } from '../../src/service/sweep/sweep.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { source } from '../sync/sample.ts';
import { failed, meta, openResync, START, targetState, wanted } from './sample.ts';

const A = wanted({ name: 'a', data: { A: source({ key: 'a' }) } });
const B = wanted({ name: 'b', data: { B: source({ key: 'b' }) } });
const BOTH = wanted({ name: 'both', data: { A: source({ key: 'a' }), B: source({ key: 'b' }) } });
const AWAY: ErrorCode = 'STORE_UNAVAILABLE';

const FINGERPRINTS = createFingerprinter(SecretValue.fromText('0123456789abcdef0123456789abcdef'));

/** A store without values. Each key has a version, `absent` or an error code. */
interface FakeStore {
  readonly keys: Map<string, string | { readonly code: ErrorCode }>;
  /** The version in the list, if it differs from the current version. */
  readonly listed: Map<string, string | undefined>;
  readonly reads: string[];
  /** The sizes of the read batches. */
  readonly parts: number[];
  lists: number;
  /** The maximum number of concurrent checks for failing keys. */
  mostAsked: number;
  /** The maximum number of checks in one turn of the event loop. */
  mostInTurn: number;
  /** The creation time of each version, if the list reports it. */
  madeAt?: number;
  /** The size of each value. */
  bytes: number;
  /** The byte that fills each value. */
  fill: string;
}

function openSweep(all: readonly DesiredTarget[], tells = false) {
  const { clock, states, sources, resync, taken, triggers, state: parts } = openResync(all);
  parts.snapshot = createConfigSnapshot([], all, () => tells);
  // Without the list of a watch, only the sweeps make a target due.
  parts.isListed = false;
  const store: FakeStore = {
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
  let pinChecks = 0;
  const ages = new SourceAges({ clock, logger: silentLogger });
  const state = Object.assign(parts, { isDown: false });
  const sweep = createSweep({
    snapshot: () => state.snapshot,
    states,
    sources,
    resync,
    clock,
    ages,
    findPins: async () => {
      pinChecks += 1;
      return [];
    },
    tellsVersions: () => tells,
    isDown: () => state.isDown,
  });
  const read = ({ ref }: StoreRef): ReadResult => {
    store.reads.push(ref.version === undefined ? ref.key : `${ref.key}@${ref.version}`);
    const entry = store.keys.get(ref.key) ?? 'absent';
    if (entry === 'absent') return { kind: 'absent' };
    if (typeof entry === 'object') return { kind: 'failed', error: new AppError(entry.code) };
    return {
      kind: 'found',
      value: SecretValue.fromBytes(Buffer.alloc(store.bytes, store.fill)),
      version: ref.version ?? entry,
      ...(store.madeAt === undefined ? {} : { createdAt: store.madeAt }),
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
    store.mostInTurn = Math.max(store.mostInTurn, inTurn);
    asking += 1;
    store.mostAsked = Math.max(store.mostAsked, asking);
    await Promise.resolve();
    asking -= 1;
    return readings.isFailing(ref) === true;
  };
  const context = {
    allows: () => true,
    fingerprints: FINGERPRINTS,
    recorder: { replacedValues, isFailing },
    async read(refs: readonly StoreRef[]) {
      store.parts.push(refs.length);
      const results = new Map(refs.map((ref) => [refId(ref), read(ref)]));
      for (const ref of refs) readings.setFailing(ref, results.get(refId(ref))?.kind === 'failed');
      return results;
    },
    async versions(_: string, keys: readonly string[]) {
      store.lists += 1;
      return keys.map((key) => {
        const version = store.listed.has(key) ? store.listed.get(key) : store.keys.get(key);
        const times = store.madeAt === undefined ? {} : { createdAt: store.madeAt };
        return typeof version === 'string' && version !== 'absent'
          ? { kind: 'known', version, ...times }
          : { kind: 'unknown' };
      });
    },
  };
  /** Runs one round of every shard. Returns the targets that it queues. */
  const round = async (ms = 300_000) => {
    clock.time += ms;
    const codes: (string | undefined)[] = [];
    for (const [name, shard] of state.snapshot.shards) {
      const job = { subject: name, reason: 'sweep', requestId: `r${clock.time}` } as const;
      const { code } = await sweep(shard, job, context as unknown as SyncContext);
      codes.push(code);
    }
    const due = taken().map((entry) => entry.replace('sweep apps/', ''));
    return codes.some((code) => code !== undefined) ? [...due, ...codes] : due.sort();
  };
  const note = (desiredTarget: DesiredTarget, part: Parameters<typeof targetState>[0] = {}) =>
    states.note(
      targetState({
        mapping: desiredTarget.mapping.name,
        target: desiredTarget.id,
        startedAt: clock.time,
        endedAt: clock.time,
        okAt: clock.time,
        ...part,
      }),
      states.steadyClock.now(),
    );
  return {
    clock,
    states,
    store,
    state,
    round,
    note,
    pinChecks: () => pinChecks,
    /** Adds a job of the target. */
    queue(desired: DesiredTarget) {
      triggers.trigger(desired.id, 'first', 'r0');
      taken();
    },
    ages,
    replacedValues,
  };
}

describe('a sweep', () => {
  it('a sweep checks failing keys in batches, so that audit writes need not wait for all checks', async () => {
    const keys = Array.from({ length: 500 }, (_, index) => `key-${index}`);
    const data = Object.fromEntries(keys.map((key) => [key, source({ key })]));
    const { round, store } = openSweep([wanted({ name: 'many', data })], true);
    for (const key of keys) store.keys.set(key, '1');
    await round();
    expect([store.reads, store.mostAsked]).toEqual([[], 50]);
  });

  it('a sweep lets probes and writes run between batches, even if a file-based audit answers immediately', async () => {
    const keys = Array.from({ length: 500 }, (_, index) => `key-${index}`);
    const data = Object.fromEntries(keys.map((key) => [key, source({ key })]));
    const { round, store } = openSweep([wanted({ name: 'many', data })], true);
    for (const key of keys) store.keys.set(key, '1');
    await round();
    expect(store.mostInTurn).toBe(50);
  });

  it('a sweep determines the age of a value from a list without reading the value', async () => {
    const { states, store, round, ages } = openSweep([A], true);
    states.setMeta(meta(A, { A: ['a', '1'] }));
    store.keys.set('a', '1');
    await round();
    expect(ages.changedAt(A.mapping)).toBeUndefined();
    store.madeAt = START - 5;
    await round();
    expect(ages.changedAt(A.mapping)).toBe(START - 5);
    expect(store.reads).toEqual([]);
  });

  it.each([
    ['small', 10, 400],
    ['large', 2 ** 20, 400],
    ['as large as the limit', 2 ** 23, 100],
  ])(
    'a sweep reads every key once, in batches within the memory limit (value size: %s)',
    async (_, bytes, count) => {
      const names = Array.from({ length: count }, (_, n) => `k${n}`);
      const data = Object.fromEntries(names.map((name) => [name, source({ key: name })]));
      const { store, round } = openSweep([wanted({ name: 'a', data })]);
      for (const name of names) store.keys.set(name, '1');
      store.bytes = bytes;
      await round();
      expect(store.reads.toSorted()).toEqual(names.toSorted());
      // The first batch of each shard is small.
      const later = store.parts.filter((size) => size !== 5);
      expect(Math.max(...later) * bytes).toBeLessThanOrEqual(Math.max(2 ** 22, bytes));
      if (bytes === 10) expect(store.parts.length).toBeLessThan(40);
    },
  );

  it.each([
    ['reads', false],
    ['lists versions', true],
  ])('exactly the targets whose sources have changed are queued in a sweep that %s', async (_, tells) => {
    const { states, store, round } = openSweep([A, B, BOTH], tells);
    store.keys.set('a', '1').set('b', '1');
    states.setMeta(meta(A, { A: ['a', '1'] }));
    states.setMeta(meta(B, { B: ['b', '1'] }));
    states.setMeta(meta(BOTH, { A: ['a', '1'], B: ['b', '1'] }));
    expect(await round()).toEqual([]);
    store.keys.set('a', '2');
    expect(await round()).toEqual(['a', 'both']);
    // The targets are queued again until a run has handled the change, because their jobs may be lost.
    expect(await round()).toEqual(['a', 'both']);
    states.setMeta(meta(A, { A: ['a', '2'] }));
    states.setMeta(meta(BOTH, { A: ['a', '2'], B: ['b', '1'] }));
    expect(await round()).toEqual([]);
  });

  it('a sweep does not queue a target again while the target waits for its creation, unless a source changes', async () => {
    const { store, round, queue, note } = openSweep([A, B]);
    store.keys.set('a', '1').set('b', '1');
    queue(A);
    expect(await round(10_000)).toEqual(['b']);
    expect(await round(10_000)).toEqual([]);
    store.keys.set('a', '2');
    expect(await round(10_000)).toEqual(['a']);
    // The run has ended and the target is still missing, so no job waits any more.
    note(A);
    expect(await round(10_000)).toEqual(['a']);
    // The waiting job may be older than the last run of the target, so the target is queued.
    queue(A);
    expect(await round(10_000)).toEqual(['a']);
  });

  it('a sweep reads each reference once for all targets, and skips references with a listed version', async () => {
    const many = Array.from({ length: 50 }, (_, index) => ({
      ...A,
      id: { namespace: `n${index}`, secret: 'a' },
    }));
    const plain = openSweep(many);
    plain.store.keys.set('a', '1');
    await plain.round();
    expect(plain.store.reads).toEqual(['a']);
    const listing = openSweep([...many, B], true);
    listing.store.keys.set('a', '1').set('b', '1');
    await listing.round();
    expect([listing.store.reads, listing.store.lists]).toEqual([[], 1]);
  });

  it('a sweep determines no age from a pinned version', async () => {
    const old = wanted({ name: 'old', data: { OLD: source({ key: 'a', version: '1' }) } });
    const { store, round, ages } = openSweep([A, old]);
    store.keys.set('a', '2');
    store.madeAt = START;
    await round();
    expect(ages.changedAt(A.mapping)).toBe(START);
    const alone = openSweep([old]);
    alone.store.keys.set('a', '2');
    alone.store.madeAt = START;
    await alone.round();
    expect(alone.ages.changedAt(A.mapping)).toBeUndefined();
  });

  it('a sweep reads the references that a list does not contain', async () => {
    const old = wanted({ name: 'old', data: { OLD: source({ key: 'a', version: '1' }) } });
    const { store, round } = openSweep([A, B, old], true);
    store.keys.set('a', '2').set('b', 'absent');
    await round();
    expect(store.reads.sort()).toEqual(['a@1', 'b']);
  });

  it('a sweep detects a recreated key whose versions restart at 1', async () => {
    const { states, store, round, note, clock } = openSweep([A, B]);
    store.keys.set('a', '1').set('b', '1');
    for (const desiredTarget of [A, B])
      states.setMeta(meta(desiredTarget, desiredTarget === A ? { A: ['a', '1'] } : { B: ['b', '1'] }));
    expect([await round(), await round()]).toEqual([[], []]);
    store.fill = 'y';
    expect(await round()).toEqual(['a', 'b']);
    clock.time += 10;
    for (const desiredTarget of [A, B]) note(desiredTarget);
    expect([await round(), await round()]).toEqual([[], []]);
  });

  it('a sweep detects a key that was recreated before this process first read it', async () => {
    const { states, store, round, replacedValues } = openSweep([A]);
    store.keys.set('a', '1');
    states.setMeta(meta(A, { A: ['a', '1'] }));
    replacedValues.add(refId({ store: 'vault', ref: { key: 'a' } }));
    expect(await round()).toEqual(['a']);
    // The audit still contains the record of the replaced value, but one run is enough.
    expect(await round()).toEqual([]);
  });

  it('a sweep queues a target after each read that finds its source absent, even if the target waits for its retry', async () => {
    const { states, store, round, note, clock } = openSweep([A]);
    store.keys.set('a', 'absent');
    states.setMeta(meta(A, { A: ['a', '1'] }));
    for (let times = 0; times < 3; times += 1) {
      expect(await round()).toEqual(['a']);
      note(A, { ...failed('SOURCE_ABSENT'), retryAt: clock.time + 3_600_000 });
    }
  });

  it('a sweep counts a soft-deleted source as absent only if the mapping is configured to do so', async () => {
    const soft = wanted({ name: 'soft', data: { A: source({ key: 'a' }) }, softDeletedIsMissing: true });
    const { states, store, round, note, clock } = openSweep([A, soft]);
    store.keys.set('a', { code: 'SOURCE_DELETED' });
    for (const desiredTarget of [A, soft]) {
      states.setMeta(meta(desiredTarget, { A: ['a', '1'] }));
      note(desiredTarget, { ...failed('SOURCE_DELETED'), retryAt: clock.time + 3_600_000 });
    }
    expect(await round()).toEqual(['soft']);
    expect(await round()).toEqual(['soft']);
  });

  it('a sweep ignores an absent source that the target never used', async () => {
    const optional = wanted({
      name: 'o',
      data: { A: source({ key: 'a', optional: true }), B: source({ key: 'b' }) },
    });
    const { states, store, round } = openSweep([optional]);
    store.keys.set('b', '1');
    states.setMeta(meta(optional, { B: ['b', '1'] }));
    expect(await round()).toEqual([]);
    store.keys.set('a', '1');
    expect(await round()).toEqual(['o']);
  });

  it('a sweep queues a target only once, and not in each round, if its annotation cannot be compared', async () => {
    const shared = wanted({
      name: 's',
      data: { A: source({ key: 'a' }), OLD: source({ key: 'a', version: '1' }) },
    });
    const { states, store, round, note, clock } = openSweep([shared]);
    store.keys.set('a', '2');
    states.setMeta(meta(shared, { A: ['a', '2'], OLD: ['a', '1'] }));
    expect(await round()).toEqual(['s']);
    clock.time += 10;
    note(shared);
    expect([await round(), await round()]).toEqual([[], []]);
    store.keys.set('a', '3');
    expect(await round()).toEqual(['s']);
  });

  it('a sweep queues a target again while a read may still return an older value than the listed version', async () => {
    const optional = wanted({ name: 'o', data: { A: source({ key: 'a', optional: true }) } });
    const { states, store, round, note, clock } = openSweep([optional], true);
    states.setMeta(meta(optional));
    store.listed.set('a', '1');
    expect(await round()).toEqual(['o']);
    clock.time += 1_000;
    note(optional);
    expect(await round()).toEqual(['o']);
    clock.time += 1_000;
    note(optional);
    expect(await round()).toEqual([]);
  });

  it('a sweep queues a target once if its data was written under another fingerprint key, and then detects changes', async () => {
    const print = (key: string, value: string) => `${key.repeat(8)}:${value.repeat(64)}`;
    const { states, store, round, note, clock } = openSweep([A]);
    states.setMeta(meta(A, { A: ['a', print('1', 'a')] }));
    store.keys.set('a', print('2', 'a'));
    expect(await round()).toEqual(['a']);
    clock.time += 10;
    // The run writes no data, so the annotation stays the same.
    note(A);
    expect(await round()).toEqual([]);
    store.keys.set('a', print('2', 'b'));
    expect(await round()).toEqual(['a']);
  });

  it('a sweep does not queue a failing target that waits for its retry, until a source changes', async () => {
    const { states, store, round, note, clock } = openSweep([A, B]);
    store.keys.set('a', { code: 'ACCESS_DENIED' }).set('b', '1');
    states.setMeta(meta(A, { A: ['a', '1'] }));
    states.setMeta(meta(B, { B: ['b', '1'] }));
    expect(await round()).toEqual(['a']);
    note(A, { ...failed('ACCESS_DENIED'), retryAt: clock.time + 3_600_000 });
    expect([await round(), await round()]).toEqual([[], []]);
    store.keys.set('a', '1');
    expect(await round()).toEqual(['a']);
  });

  it.each([
    ['when the store is known to be down', true],
    ['when no key of the shard could be read', false],
  ])('a sweep queues no target and reports an outage %s', async (_, isDown) => {
    const { states, store, round, state } = openSweep([A, B]);
    store.keys.set('a', '1').set('b', '1');
    states.setMeta(meta(A, { A: ['a', '1'] }));
    states.setMeta(meta(B, { B: ['b', '1'] }));
    await round();
    const [name = ''] = state.snapshot.shards.keys();
    const okAt = states.sweepState(name)?.okAt;
    state.isDown = isDown;
    store.keys.set('a', { code: AWAY }).set('b', { code: AWAY });
    expect(await round()).toEqual([AWAY]);
    expect(states.sweepState(name)).toMatchObject({ okAt, code: AWAY });
    state.isDown = false;
    store.keys.set('a', '1').set('b', '2');
    expect(await round()).toEqual(['b']);
    expect(states.sweepState(name)?.code).toBeUndefined();
  });

  it('a sweep reads a key that is denied in growing pauses of up to 15 minutes, and other keys in each round', async () => {
    const { store, round, clock } = openSweep([A, B]);
    store.keys.set('a', { code: 'ACCESS_DENIED' }).set('b', '1');
    const [from, minute] = [clock.time, 60_000];
    const readAt: number[] = [];
    for (let n = 1; n <= 60; n += 1) {
      await round(minute);
      const reads = store.reads.splice(0);
      if (reads.includes('a')) readAt.push((clock.time - from) / minute);
      expect(reads).toContain('b');
    }
    expect(readAt).toEqual([1, 2, 4, 8, 16, 32, 48]);
  });

  it('a sweep reads a denied key again in each round after a run could read it', async () => {
    const { store, round, note, queue } = openSweep([A]);
    store.keys.set('a', { code: 'ACCESS_DENIED' });
    for (let n = 1; n <= 10; n += 1) await round(60_000);
    store.keys.set('a', '1');
    store.reads.length = 0;
    await round(60_000);
    expect(store.reads).toEqual([]);
    // An event or a person has caused this run.
    queue(A);
    note(A);
    await round(60_000);
    expect(store.reads).toEqual(['a']);
  });

  it('a sweep queues the targets of one failing key while other keys work', async () => {
    const { states, store, round } = openSweep([A, B]);
    store.keys.set('a', { code: AWAY }).set('b', '1');
    states.setMeta(meta(A, { A: ['a', '1'] }));
    states.setMeta(meta(B, { B: ['b', '1'] }));
    expect(await round()).toEqual(['a']);
  });

  it('a sweep queues full runs for searches and merges, unless they wait for their retry', async () => {
    const search = wanted({ name: 's', dataFrom: [{ store: 'vault', find: { path: 'x', tags: {} } }] });
    const merge = wanted({ name: 'm', data: { A: source({ key: 'a' }) }, target: { mode: 'merge' } });
    const { round, note, clock, store } = openSweep([search, merge]);
    expect(await round()).toEqual(['m', 's']);
    note(search, { ...failed('ACCESS_DENIED'), retryAt: clock.time + 600_000 });
    expect(await round()).toEqual(['m']);
    expect(await round()).toEqual(['m', 's']);
    expect(store.reads).toEqual([]);
  });

  it.each(['KEY_INVALID', 'PROPERTY_MISSING', 'SOURCE_ABSENT', 'SOURCE_DISABLED', 'VERSION_GONE'] as const)(
    'a sweep queues a search or merge in each round while its sources fail with %s, because only a run detects the fix',
    async (code) => {
      const search = wanted({ name: 's', dataFrom: [{ store: 'vault', find: { path: 'x', tags: {} } }] });
      const merge = wanted({ name: 'm', data: { A: source({ key: 'a' }) }, target: { mode: 'merge' } });
      const { round, note, clock, state } = openSweep([search, merge]);
      for (const desiredTarget of [search, merge])
        note(desiredTarget, { ...failed(code), person: true, retryAt: clock.time + 3_600_000 });
      expect(await round()).toEqual(['m', 's']);
      expect(await round()).toEqual(['m', 's']);
      note(merge, { ...failed('NOT_OWNED'), person: true, retryAt: clock.time + 3_600_000 });
      expect(await round()).toEqual(['s']);
      note(search, { ...failed(code), person: true, retryAt: clock.time + 3_600_000 });
      state.isDown = true;
      expect(await round()).toEqual([]);
    },
  );

  it('a sweep queues a failed target once when its sources are found for the first time', async () => {
    const { states, store, round, note, clock } = openSweep([A, B]);
    store.keys.set('a', '2').set('b', { code: 'ACCESS_DENIED' });
    states.setMeta(meta(A, { A: ['a', '1'] }));
    states.setMeta(meta(B, { B: ['b', '1'] }));
    note(A, { ...failed('PROPERTY_MISSING'), person: true, retryAt: clock.time + 3_600_000 });
    note(B, { ...failed('ACCESS_DENIED'), person: true, retryAt: clock.time + 3_600_000 });
    expect(await round()).toEqual(['a']);
    expect(await round()).toEqual([]);
    store.keys.set('b', '1');
    // A denied key is read in growing pauses.
    expect(await round(600_000)).toEqual(['b']);
  });

  it('a sweep queues a failed target once when all its sources in several shards have been found', async () => {
    const keys = Array.from({ length: 60 }, (_, n) => `k${n}`);
    const many = wanted({
      name: 'many',
      data: Object.fromEntries(keys.map((key) => [key.toUpperCase(), source({ key })])),
    });
    const { states, store, round, note, clock, state } = openSweep([many]);
    expect(state.snapshot.shards.size).toBe(4);
    for (const key of keys) store.keys.set(key, '1');
    store.keys.set('k7', { code: 'ACCESS_DENIED' });
    states.setMeta(meta(many, Object.fromEntries(keys.map((key) => [key.toUpperCase(), [key, '1']]))));
    note(many, { ...failed('NOT_OWNED'), person: true, retryAt: clock.time + 3_600_000 });
    expect(await round()).toEqual([]);
    store.keys.set('k7', '1');
    expect(await round()).toEqual(['many']);
    note(many, { ...failed('NOT_OWNED'), person: true, retryAt: clock.time + 3_600_000 });
    expect(await round()).toEqual([]);
    const again = openSweep([many]);
    for (const key of keys) again.store.keys.set(key, '1');
    again.note(many, { ...failed('NOT_OWNED'), person: true, retryAt: again.clock.time + 3_600_000 });
    expect(await again.round()).toEqual(['many']);
    again.note(many, { ...failed('NOT_OWNED'), person: true, retryAt: again.clock.time + 3_600_000 });
    expect(await again.round()).toEqual([]);
  });

  it('a sweep leaves a transient failure to its retry, even in the first round', async () => {
    const { states, store, round, note, clock } = openSweep([A]);
    store.keys.set('a', '1');
    states.setMeta(meta(A, { A: ['a', '1'] }));
    note(A, { ...failed('CLUSTER_UNAVAILABLE'), retryAt: clock.time + 600_000 });
    expect(await round()).toEqual([]);
  });

  it('a sweep queues a missing target, unless it waits for its retry', async () => {
    const { store, round, note, clock } = openSweep([A]);
    store.keys.set('a', '1');
    expect(await round()).toEqual(['a']);
    note(A, { ...failed('NAMESPACE_MISSING'), alive: false, retryAt: clock.time + 3_600_000 });
    expect(await round()).toEqual([]);
  });

  it('a sweep queues each TLS target once after a start, to learn when its certificate expires', async () => {
    const tls = wanted({
      name: 't',
      data: { A: source({ key: 'a' }) },
      target: { type: 'kubernetes.io/tls' },
    });
    const { states, store, round, note } = openSweep([tls]);
    store.keys.set('a', '1');
    states.setMeta(meta(tls, { A: ['a', '1'] }));
    expect(await round()).toEqual(['t']);
    note(tls);
    expect(await round()).toEqual([]);
  });

  it('a sweep forgets old shards after a configuration change, and keeps recent shards of other replicas', async () => {
    const { states, store, round, state, clock } = openSweep([A]);
    store.keys.set('a', '1');
    await round();
    const [oldShard = ''] = state.snapshot.shards.keys();
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
    expect(shards).not.toContain(oldShard);
    expect(shards).toContain(ofAnother);
    expect(shards).toHaveLength(2);
  });

  it('a sweep is fast for 10,000 targets of one key, and for one target of 1,000 keys', async () => {
    const many = Array.from({ length: 10_000 }, (_, index) => ({
      ...A,
      id: { namespace: `n${index}`, secret: 'a' },
    }));
    const names = Array.from({ length: 1_000 }, (_, index) => `k${index}`);
    const wide = wanted({
      name: 'wide',
      data: Object.fromEntries(names.map((key) => [key, source({ key })])),
    });
    const { states, store, round } = openSweep([...many, wide]);
    store.keys.set('a', '1');
    for (const entry of many) states.setMeta(meta(entry, { A: ['a', '1'] }));
    for (const key of names) store.keys.set(key, '1');
    states.setMeta(meta(wide, Object.fromEntries(names.map((key) => [key, [key, '1'] as const]))));
    const began = performance.now();
    expect(await round()).toEqual([]);
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(store.reads).toHaveLength(1_001);
  });

  it('a sweep records the time when a shard was checked completely', async () => {
    const { states, store, round, state, clock } = openSweep([A]);
    store.keys.set('a', '1');
    clock.time = START;
    await round(5);
    const [name = ''] = state.snapshot.shards.keys();
    expect(states.sweepState(name)).toEqual({ at: START + 5, okAt: START + 5 });
  });

  it.each([
    ['reads', false, 1],
    // A read may return the old value for a minute after a list shows a new version.
    ['lists versions', true, 2],
  ])(
    'a pinned target is queued once for a new version, and not in each round, in a sweep that %s',
    async (_, tells, looks) => {
      const { states, store, round, note } = openSweep([A], tells);
      store.keys.set('a', '2');
      states.setMeta(meta(A, { A: ['a', '1'] }));
      note(A, { pinned: 7 });
      const rounds = async (): Promise<number> => {
        let due = 0;
        for (let times = 0; times < 5; times += 1) {
          const queued = (await round()).length;
          due += queued;
          if (queued > 0) note(A, { pinned: 7 });
        }
        return due;
      };
      expect(await rounds()).toBe(looks);
      expect(await rounds()).toBe(0);
      store.keys.set('a', '3');
      expect(await rounds()).toBe(looks);
      expect(await rounds()).toBe(0);
    },
  );

  it('a sweep detects a change of an unpinned source of a pinned target, even before the first round', async () => {
    const { states, store, round, note } = openSweep([BOTH]);
    store.keys.set('a', '9').set('b', '2');
    // `b` was added to the mapping after the pinned record, so the record does not name it.
    states.setMeta(meta(BOTH, { A: ['a', '1'], B: ['b', '1'] }));
    note(BOTH, { pinned: 7 });
    expect(await round()).toEqual(['both']);
    note(BOTH, { pinned: 7 });
    expect(await round()).toEqual([]);
  });

  it('a sweep checks for pins set by another process', async () => {
    const { round, pinChecks } = openSweep([A]);
    await round();
    expect(pinChecks()).toBe(1);
  });
});

it('a sweep reads an unreadable key again once a list contains it, to record the recovery', async () => {
  const { store, round } = openSweep([BOTH], true);
  for (const key of ['a', 'b']) store.keys.set(key, '1');
  await round();
  expect(store.reads).toEqual([]);
  // The list and the values are both unavailable.
  for (const key of ['a', 'b']) store.keys.set(key, { code: AWAY });
  await round();
  expect(store.reads.splice(0)).toEqual(['a', 'b']);
  for (const key of ['a', 'b']) store.keys.set(key, '1');
  await round();
  expect(store.reads.splice(0)).toEqual(['a', 'b']);
  await round();
  expect(store.reads).toEqual([]);
});

it('a sweep reports no outage and queues nothing if a listed key cannot be read yet', async () => {
  const { states, store, round } = openSweep([A, B], true);
  store.keys.set('a', '1').set('b', '1');
  states.setMeta(meta(A, { A: ['a', '1'] }));
  states.setMeta(meta(B, { B: ['b', '1'] }));
  expect(await round()).toEqual([]);
  store.keys.set('a', { code: AWAY }).set('b', { code: AWAY });
  expect(await round()).toEqual([AWAY]);
  store.listed.set('a', '1').set('b', '1');
  store.reads.splice(0);
  expect(await round()).toEqual([]);
  expect(store.reads).toEqual(['a', 'b']);
});
