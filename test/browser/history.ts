import { createHash } from 'node:crypto';
import { type Actor, type Entry, type EntrySource, NO_KEYS } from '../../src/audit/entry.ts';
import type { TargetId } from '../../src/core/target.ts';
import { entry } from './scene.ts';

/** Entries that are appended together, at this time in milliseconds since 1970. */
export interface Moment {
  readonly at: number;
  readonly entries: readonly Entry[];
}

/** What happens besides the rotations. */
export interface Occurrence {
  readonly at: number;
  readonly entries: (state: HistoryState) => readonly Entry[];
}

/** What an occurrence can refer to. */
export interface HistoryState {
  /** The sequence that its first entry will get. */
  readonly sequence: number;
  /** Returns the present version of a mapping's source. */
  readonly versionOf: (mapping: number) => number;
}

/** A target with the mapping that wants it. */
type Target = TargetId & { readonly mapping: string };

const DAY_MS = 86_400_000;
const STAGES = ['prod', 'staging', 'test', 'dev', 'demo'] as const;
const TEAMS = 40;
const PEOPLE = ['bo', 'carla', 'dev', 'elif', 'femi', 'gita', 'hugo', 'ines', 'jan', 'kim'] as const;
const STORES = ['team-vault', 'aws-prod', 'azure-prod'] as const;
const KEYS = ['DB_PASSWORD', 'DB_USER'] as const;
/** One of this many mappings restarts a Deployment. */
const RESTART_EVERY = 5;
/** One of this many mappings never rotates. */
const OLD_EVERY = 50;
/** The number of reviewed rotations of every ten. */
const REVIEWED = 3;

export const HISTORY_START = Date.UTC(2026, 0, 1);
export const HISTORY_END = Date.UTC(2026, 10, 25, 8);

/** Returns the fingerprint of a value, as the audit shows it. */
export function fingerprintOf(value: string): string {
  return `03c66e02:${createHash('sha256').update(value).digest('hex')}`;
}

/** Returns the targets of a mapping: one Secret for each stage of a team. */
export function targetsOf(mapping: number): readonly Target[] {
  return STAGES.map((stage) => ({
    mapping: `app-${mapping}`,
    namespace: `team-${mapping % TEAMS}-${stage}`,
    secret: `app-${mapping}`,
  }));
}

/** Returns the source of a mapping in this version. */
export function sourceOf(mapping: number, version: number): EntrySource {
  return {
    store: STORES[mapping % STORES.length] ?? 'team-vault',
    key: `apps/app-${mapping}`,
    version: String(version),
  };
}

/** Returns the fingerprint of the value that this version of the mapping's source has. */
export function printOf(mapping: number, version: number): string {
  return fingerprintOf(`app-${mapping}#${version}`);
}

/**
 * Returns the history of an installation: every target is created, and then sources rotate one after the other until
 * there are enough records. It is the same for the same numbers.
 *
 * @param occurrences What happens besides, in the order of the times.
 */
export function* history(
  { mappings, records }: { readonly mappings: number; readonly records: number },
  occurrences: readonly Occurrence[],
): Generator<Moment> {
  const perRotation = 1 + STAGES.length * 2;
  const rotations = Math.max(0, Math.floor((records - mappings * perRotation) / (perRotation + 1)));
  const stepMs = (HISTORY_END - HISTORY_START - DAY_MS) / (mappings + rotations);
  const versions = new Map<number, number>();
  const versionOf = (mapping: number) => versions.get(mapping) ?? 0;
  const waiting = [...occurrences];
  let sequence = 0;
  const until = function* (time: number): Generator<Moment> {
    for (let first = waiting[0]; first !== undefined && first.at <= time; first = waiting[0]) {
      const entries = first.entries({ sequence: sequence + 1, versionOf });
      sequence += entries.length;
      waiting.shift();
      yield { at: first.at, entries };
    }
  };
  for (let n = 0; n < mappings + rotations; n += 1) {
    const at = HISTORY_START + Math.floor(n * stepMs);
    yield* until(at);
    const chosen = n < mappings ? n : spread(n, mappings);
    const mapping = n >= mappings && isOld(chosen) ? chosen - 1 : chosen;
    const version = versionOf(mapping) + 1;
    versions.set(mapping, version);
    const entries = [...rotation(mapping, version, n), ...everyday(n, sequence)];
    sequence += entries.length;
    yield { at, entries };
  }
  yield* until(HISTORY_END);
}

/** Whether the source of a mapping keeps its first version. */
export function isOld(mapping: number): boolean {
  return mapping % OLD_EVERY === OLD_EVERY - 1;
}

/** Returns a number below `limit` that looks random but depends only on `n`. */
function spread(n: number, limit: number): number {
  return (Math.imul(n, 2_654_435_761) >>> 0) % limit;
}

/** Returns the records of a new version of a mapping's source: its read, and the changes of all targets. */
function rotation(mapping: number, version: number, n: number): readonly Entry[] {
  const source = sourceOf(mapping, version);
  const requestId = `rotation-${n}`;
  const actor: Actor = n % 7 === 0 ? { kind: 'event', name: source.store } : { kind: 'schedule' };
  const after = printOf(mapping, version);
  const common = { requestId, actor, sources: [source], after };
  const read = entry({ ...common, action: 'read', store: source.store, key: source.key });
  const changes = targetsOf(mapping).flatMap((target) => changeOf(target, version, common, n));
  const restarts = mapping % RESTART_EVERY === 0 && version > 1 ? restartOf(mapping, requestId, after) : [];
  return [read, ...changes, ...restarts];
}

type Common = Pick<Entry, 'requestId' | 'actor' | 'sources'> & { readonly after: string };

function changeOf(target: Target, version: number, common: Common, n: number): readonly Entry[] {
  const mapping = Number(target.mapping.slice('app-'.length));
  const isNew = version === 1;
  const change = {
    ...({ ...common, ...target, action: isNew ? 'create' : 'update' } as const),
    keys: isNew ? { ...NO_KEYS, added: [...KEYS] } : { ...NO_KEYS, changed: ['DB_PASSWORD'] },
    values: { DB_PASSWORD: common.after, DB_USER: fingerprintOf(target.mapping) },
    ...(isNew ? {} : { before: printOf(mapping, version - 1) }),
  };
  return [
    entry({ ...change, phase: 'intent', durationMs: 0, resourceVersion: String(1_000 + n) }),
    entry({ ...change, phase: 'outcome', durationMs: 20 + (n % 90), resourceVersion: String(1_001 + n) }),
  ];
}

/** Returns records that an installation writes besides its rotations. */
function everyday(n: number, sequence: number): readonly Entry[] {
  const name = PEOPLE[n % PEOPLE.length] ?? 'bo';
  const actor: Actor = { kind: 'operator', name, address: '10.20.0.14' };
  const requestId = `everyday-${n}`;
  const mapping = spread(n + 1, 200);
  const source = sourceOf(mapping, 1);
  const reviewed = sequence - (n % 20);
  return [
    ...(n % 10 < REVIEWED && reviewed > 0
      ? [entry({ actor, requestId, action: 'review', review: { sequence: reviewed, state: 'reviewed' } })]
      : []),
    ...(n % 50 === 0
      ? [
          entry({
            actor,
            requestId,
            action: 'command',
            note: `sync app-${mapping}`,
            mapping: `app-${mapping}`,
          }),
        ]
      : []),
    ...(n % 40 === 0
      ? [
          entry({
            ...{ requestId, action: 'read', outcome: 'failed', code: 'THROTTLED', durationMs: 4_000 },
            ...{ store: source.store, key: source.key },
          }),
        ]
      : []),
    ...(n % 4 === 0 ? [entry({ requestId, action: 'sweep', counts: { checked: 412, changed: 1 } })] : []),
  ];
}

/** Returns the records of a restart in the first namespace of a mapping, after a change to this fingerprint. */
export function restartOf(mapping: number, requestId: string, after: string): readonly Entry[] {
  const [target] = targetsOf(mapping);
  const note = `Deployment/${target?.secret}`;
  const restart = { ...target, requestId, action: 'restart', note, after } as const;
  return [
    entry({ ...restart, phase: 'intent', durationMs: 0 }),
    entry({ ...restart, phase: 'outcome', durationMs: 8_400 }),
  ];
}
