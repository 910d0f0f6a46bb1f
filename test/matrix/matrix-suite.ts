import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { objectIn } from '../../src/cluster/json.ts';
import { ERRORS } from '../../src/core/error-codes.ts';
import { PROVIDERS } from '../../src/providers/registry.ts';
import { type Marker, textMarker } from '../leak-search.ts';
import { type Bench, leaksIn, openBench } from './bench.ts';
import { base64, type Cell, cells, HEALTHY, idOf, mappingsOf, THEIRS } from './cells.ts';
import { FAILURES, type Fault, type MatrixKind, type MatrixStore } from './failures.ts';

// Runs every store with every failure, for targets with every policy and owner. Each case runs four cycles, which
// together take longer than `absence.over`. Only a proved absence may delete, empty or adopt a target, and only if the
// policy allows it. No target is written partially. Values appear only in the store and the target.

const MINUTE = 60_000;
const counts = { cells: 0, passes: 0, deleted: 0, keysRemoved: 0, held: 0 };
const codes = new Set<string>();
/** Codes of transient errors, which cause exit code 1. */
const HEALS = ['THROTTLED', 'STORE_UNAVAILABLE', 'TIMEOUT', 'BAD_ANSWER'];

/** Captures everything that this process prints directly, such as output of a vendor's package. */
function watchOutput() {
  const captured: string[] = [];
  const note = (...args: unknown[]) => void captured.push(args.map(String).join(' '));
  const spies = [
    vi.spyOn(console, 'log').mockImplementation(note),
    vi.spyOn(console, 'warn').mockImplementation(note),
    vi.spyOn(console, 'error').mockImplementation(note),
    vi.spyOn(process, 'emitWarning').mockImplementation(note),
  ];
  return {
    seen: captured,
    [Symbol.dispose]() {
      for (const spy of spies) spy.mockRestore();
    },
  };
}

/** The key of the source that fails. In a mapping with a search, the Secret gets a key of the same name. */
const FAILING_KEY = 'gone';

interface Values {
  readonly failing: Marker;
  readonly before: Marker;
  readonly after: Marker;
}

const json = ({ core }: Marker) => `{"a":"${core}"}`;

async function fill(store: MatrixStore, values: Values, stays: Marker): Promise<void> {
  for (const name of [FAILING_KEY, `found/${FAILING_KEY}`])
    await store.put(store.key(name), json(values.failing));
  for (const name of ['stays', 'found/stays']) await store.put(store.key(name), json(stays));
}

/** Returns the current state of each target in the cluster. */
function snapshotTargets({ cluster }: Bench): ReadonlyMap<string, string> {
  return new Map(cells.map((cell) => [cell.name, JSON.stringify(cluster.raw(idOf(cell))) ?? 'none']));
}

function dataOf({ cluster }: Bench, cell: Cell): Readonly<Record<string, unknown>> | undefined {
  const raw = cluster.raw(idOf(cell));
  return raw === undefined ? undefined : { ...objectIn(raw, 'data') };
}

/** Returns the data that a target must contain while the store is healthy. */
function expectedData({ shape, ownership }: Cell, values: Values, stays: Marker): Record<string, string> {
  const theirs = ownership === 'merged' ? THEIRS.data : {};
  const [failing, other] = [values.failing.core.toString(), stays.core.toString()].map(base64);
  const [failingJson, otherJson] = [json(values.failing), json(stays)].map(base64);
  switch (shape) {
    case 'one':
      return { ...theirs, GONE: failing ?? '' };
    case 'spread':
      return { ...theirs, S_a: failing ?? '', STAYS: other ?? '' };
    case 'find':
      return { ...theirs, [FAILING_KEY]: failingJson ?? '', stays: otherJson ?? '' };
    default:
      return { ...theirs, GONE: failing ?? '', STAYS: other ?? '' };
  }
}

/**
 * Returns the permitted state of a target after a proved absence: deleted (`gone`), other data, `held`, or unchanged
 * (`kept`).
 */
function afterProof(cell: Cell, values: Values): 'gone' | 'kept' | 'held' | Record<string, string> {
  const { shape, policy, ownership } = cell;
  if (ownership === 'foreign') return 'kept';
  if (shape === 'one' && ['adopting', 'missing'].includes(ownership)) return 'kept';
  if (policy === 'delete' && shape === 'one') return 'gone';
  if (policy === 'removeKeys' && shape === 'one') return 'held';
  if (policy !== 'removeKeys' && shape !== 'optional') return 'kept';
  const { GONE: _, S_a: __, [FAILING_KEY]: ___, ...rest } = expectedData(cell, values, values.after);
  return rest;
}

function count(allowed: ReturnType<typeof afterProof>): void {
  if (allowed === 'gone') counts.deleted += 1;
  if (allowed === 'held') counts.held += 1;
  if (typeof allowed === 'object') counts.keysRemoved += 1;
}

/** Returns the code that a target must report while its store fails. */
function codeOf({ ownership }: Cell, fault: Fault<MatrixStore>): string {
  return ownership === 'foreign' ? 'NOT_OWNED' : fault.code;
}

async function run(kind: MatrixKind, store: MatrixStore, fault: Fault<MatrixStore>): Promise<void> {
  const values = {
    failing: textMarker(FAILING_KEY),
    before: textMarker('stays'),
    after: textMarker('stays, new'),
  };
  await store.heal();
  await fill(store, values, values.before);
  const key = (name: string) => store.key(name);
  const { config, env, deadline } = store;
  const options = { store: config, env, ...(deadline === undefined ? {} : { deadline }) };
  const more = 'brake: { share: 1 }\nabsence: { readings: 3, over: 10m }';
  await using bench = await openBench({ ...options, more, mappings: mappingsOf(key, HEALTHY) });
  for (const cell of cells)
    if (cell.ownership !== 'owned' && cell.ownership !== 'missing')
      bench.cluster.put(idOf(cell), structuredClone(THEIRS));
  const first = await bench.sync();
  expect(new Set(first.targets.flatMap(({ error }) => error?.code ?? []))).toEqual(new Set(['NOT_OWNED']));

  await bench.configure(mappingsOf(key));
  for (const name of ['stays', 'found/stays']) await store.put(store.key(name), json(values.after));
  await fault.begin(store);
  const before = snapshotTargets(bench);
  const where = `${kind.title}, ${fault.title} (${fault.scope})`;
  const isProof = fault.failure === 'absent';
  for (const cycle of isProof ? [1, 2, 3, 4, 5] : [1, 2, 3, 4]) {
    await bench.clock.advance(4 * MINUTE);
    const report = await bench.sync();
    counts.passes += 1;
    const outcomes = new Map(report.targets.map(({ target, error }) => [target.secret, error?.code]));
    const now = snapshotTargets(bench);
    const wrong = cells.flatMap((cell) => {
      // An optional source that never existed needs no proof of absence, but some stores need a second read.
      const isNew =
        cell.shape === 'optional' &&
        ['adopting', 'missing'].includes(cell.ownership) &&
        (cycle > 1 || PROVIDERS[kind.title]?.deletionLagMs === undefined);
      const allowed = isProof && (cycle >= 4 || isNew) ? afterProof(cell, values) : 'kept';
      const code = allowed === 'held' ? 'HELD' : codeOf(cell, fault);
      if (cycle === 4) count(allowed);
      if (typeof allowed === 'object')
        return isDeepStrictEqual(dataOf(bench, cell), allowed) ? [] : [`${cell.name} has other data`];
      if (allowed === 'gone') return now.get(cell.name) === 'none' ? [] : [`${cell.name} still exists`];
      return [
        ...(now.get(cell.name) === before.get(cell.name) ? [] : [`${cell.name} has changed`]),
        ...(outcomes.get(cell.name) === code ? [] : [`${cell.name} reports ${outcomes.get(cell.name)}`]),
      ];
    });
    expect(wrong, `${where}, cycle ${cycle}`).toEqual([]);
    for (const code of outcomes.values()) if (code !== undefined) codes.add(code);
    // A target that does not read the failing key is still synced, unless hanging calls pause the whole store.
    const bystander = fault.code === 'TIMEOUT' ? [undefined, 'TIMEOUT'] : [undefined];
    expect(fault.scope === 'key' ? bystander : [fault.code], where).toContain(outcomes.get('bystander'));
    expect(report.exitCode, where).toBe(HEALS.includes(fault.code) ? 1 : 4);
    expect(report.ok).toBe(false);
  }
  counts.cells += cells.length;

  await store.heal();
  await fill(store, values, values.after);
  await bench.clock.advance(4 * MINUTE);
  const healed = await bench.sync();
  expect(new Set(healed.targets.flatMap(({ error }) => error?.code ?? [])), where).toEqual(
    new Set(['NOT_OWNED']),
  );
  const late = cells.filter((cell) => {
    const data = cell.ownership === 'foreign' ? THEIRS.data : expectedData(cell, values, values.after);
    return !isDeepStrictEqual(dataOf(bench, cell), data);
  });
  expect(late, `${where}, healed`).toEqual([]);
  expect(leaksIn(await bench.seen(), Object.values(values)), where).toEqual([]);
}

/** Returns the first two cases of each failure and scope. In a long run, returns all cases. */
function chosen({ faults }: MatrixKind): readonly Fault<MatrixStore>[] {
  if (process.env.SECRETBRIDGE_TEST_RUNS !== undefined) return faults;
  const groups = Map.groupBy(faults, ({ failure, scope }) => `${failure} ${scope}`);
  return [...groups.values()].flatMap((group) => group.slice(0, 2));
}

/** Registers all cases for one kind of store. */
export function describeMatrix(kind: MatrixKind): void {
  describe(`the failure matrix of ${kind.title}`, () => {
    const output = watchOutput();
    let store: MatrixStore;
    beforeAll(async () => {
      store = await kind.open();
    });
    afterAll(async () => {
      output[Symbol.dispose]();
      await store[Symbol.asyncDispose]();
      console.log(`matrix of ${kind.title}: ${JSON.stringify(counts)}, codes ${[...codes].sort().join(' ')}`);
    });

    it('has a fault for every failure, or states why this kind of store cannot have the failure', () => {
      const captured = new Set(kind.faults.map(({ failure }) => failure));
      for (const failure of FAILURES)
        expect(captured.has(failure), failure).toBe(kind.never[failure] === undefined);
    });

    it.each(chosen(kind).map((fault) => [fault.scope, fault.title, fault] as const))(
      'changes targets only as permitted if the %s has this fault: %s',
      async (_, __, fault) => {
        await run(kind, store, fault);
      },
    );

    it('all cases together produce every kind of result, only documented codes, and no direct output', () => {
      expect(Math.min(counts.deleted, counts.keysRemoved, counts.held)).toBeGreaterThan(0);
      for (const code of codes) expect(ERRORS).toHaveProperty(code);
      expect(output.seen).toEqual([]);
    });
  });
}
