import type { FieldChange } from '../../core/json.ts';
import type { Actor, AuditRecord, EntryOutcome, EntrySource } from '../entry.ts';
import { isPerson } from '../entry.ts';
import { isWrite } from '../record-index.ts';
import type { Review } from '../store.ts';

// A change is what a person sees as one event: the records of an intent, its outcome, the reads of its sources and its
// restarts are one change. This file is the only place that turns records into changes. It reads nothing.

/** One key of a target, with fingerprints. */
export interface KeyChange {
  readonly name: string;
  readonly change: 'added' | 'changed' | 'removed' | 'kept';
  readonly before?: string;
  readonly after?: string;
}

export interface ChangedSource extends EntrySource {
  /** The version that the previous write of the target used, if it was another one. */
  readonly previousVersion?: string;
}

export interface Restart {
  readonly kind: string;
  readonly name: string;
  readonly outcome: EntryOutcome | 'pending';
  readonly code?: string;
}

export interface Cause {
  readonly kind: 'schedule' | 'event' | 'drift' | 'person' | 'configuration' | 'recovery' | 'unknown';
  /** The configuration change, if the configuration is the cause and the caller may see it. */
  readonly sequence?: number;
  readonly revision?: string;
  readonly changes?: readonly FieldChange[];
}

/** A person who took part in a change, besides its actor. */
export interface Participant {
  readonly role: 'requested' | 'approved' | 'rejected' | 'released';
  readonly name: string;
  readonly time: string;
  readonly sequence: number;
}

export interface Change {
  /** The sequence of the record that stands for the change: its outcome, or its intent while it has no outcome. */
  readonly sequence: number;
  /** The sequences of all records of the change, in ascending order. */
  readonly records: readonly number[];
  readonly time: string;
  readonly durationMs?: number;
  readonly action: AuditRecord['action'];
  readonly outcome: EntryOutcome | 'pending';
  readonly code?: string;
  readonly note?: string;
  readonly actor: Pick<Actor, 'kind' | 'name'>;
  readonly requestId: string;
  readonly cause: Cause;
  readonly people?: readonly Participant[];
  readonly mapping?: string;
  readonly namespace?: string;
  readonly secret?: string;
  readonly store?: string;
  readonly key?: string;
  readonly keys: readonly KeyChange[];
  readonly sources: readonly ChangedSource[];
  readonly restarts: readonly Restart[];
  readonly counts?: Readonly<Record<string, number>>;
  /** For a change of the configuration. */
  readonly configuration?: {
    readonly hash?: string;
    readonly revision?: string;
    readonly changes: readonly FieldChange[];
  };
  /** How many equal facts this change stands for. */
  readonly count: number;
  /** When the first of them happened. */
  readonly since?: string;
  readonly review?: Omit<Review, 'sequence'>;
}

/** The records around the record that stands for a change. */
export interface Surroundings {
  /** The earlier writes of the same target, newest first. */
  readonly earlier: readonly AuditRecord[];
  /** The restarts that the change caused, oldest first. */
  readonly restarts: readonly AuditRecord[];
  /** The sequences of the reads whose values the change used. */
  readonly reads: readonly number[];
  /** The records of people who decided about the change. */
  readonly decisions: readonly AuditRecord[];
  /** The last configuration that came into force before the change. */
  readonly configuration?: AuditRecord | undefined;
  readonly review?: Review | undefined;
}

export const NO_SURROUNDINGS: Surroundings = {
  earlier: [],
  restarts: [],
  reads: [],
  decisions: [],
};

/** Builds the change for which a record stands. */
export function changeOf(record: AuditRecord, around: Surroundings): Change {
  const { sequence, time, durationMs, action, actor, requestId } = record;
  const intents = intentsOf(record, around.earlier);
  const members = [record, ...intents, ...around.restarts, ...around.decisions];
  const previous = around.earlier.filter(isDone);
  const people = participants(around.decisions);
  return {
    sequence,
    records: ascending([...members.map((member) => member.sequence), ...around.reads]),
    ...{ time, durationMs, action, outcome: isPending(record) ? 'pending' : record.outcome },
    ...defined({ code: record.code, note: record.note }),
    actor: { kind: actor.kind, ...defined({ name: actor.name }) },
    requestId,
    cause: causeOf(record, previous[0], around.configuration),
    ...(people.length === 0 ? {} : { people }),
    ...subjectOf(record),
    keys: keysOf(record, previous),
    sources: sourcesOf(record, previous[0]),
    restarts: restartsOf(record.action === 'restart' ? [record, ...around.restarts] : around.restarts),
    ...defined({ counts: record.counts }),
    ...(action === 'configure' ? { configuration: configurationOf(record) } : {}),
    count: Math.max(1, record.count ?? 1),
    ...defined({ since: record.since }),
    ...(around.review === undefined ? {} : { review: reviewOf(around.review) }),
  };
}

function isPending({ phase }: AuditRecord): boolean {
  return phase === 'intent';
}

/** Returns the intents to which an outcome belongs. */
export function intentsOf(record: AuditRecord, earlier: readonly AuditRecord[]): readonly AuditRecord[] {
  if (record.phase !== 'outcome' || !isWrite(record)) return [];
  return earlier.filter(
    ({ phase, requestId, attempt }) =>
      phase === 'intent' && requestId === record.requestId && attempt === record.attempt,
  );
}

/** Whether a restart belongs to a write. One request may change a Secret twice, so the fingerprint counts too. */
export function isRestartOf(restart: AuditRecord, write: AuditRecord): boolean {
  return (
    restart.action === 'restart' &&
    isDone(write) &&
    restart.requestId === write.requestId &&
    restart.after === write.after
  );
}

function isDone({ phase, outcome }: AuditRecord): boolean {
  return phase === 'outcome' && outcome === 'ok';
}

function keysOf(record: AuditRecord, previous: readonly AuditRecord[]): readonly KeyChange[] {
  const { keys, values = {} } = record;
  const before = (name: string) => valueBefore(name, previous);
  const added = keys.added.map(
    (name): KeyChange => ({ name, change: 'added', ...defined({ after: values[name] }) }),
  );
  const changed = keys.changed.map((name): KeyChange => {
    const fingerprints = defined({ before: before(name), after: values[name] });
    return { name, change: 'changed', ...fingerprints };
  });
  const removed = keys.removed.map(
    (name): KeyChange => ({ name, change: 'removed', ...defined({ before: before(name) }) }),
  );
  const named = new Set([...keys.added, ...keys.changed, ...keys.removed]);
  const kept = Object.entries(values)
    .filter(([name]) => !named.has(name))
    .map(([name, after]): KeyChange => ({ name, change: 'kept', before: after, after }));
  return [...added, ...changed, ...removed, ...kept];
}

/** A write contains the fingerprints of the keys that it wrote. So search back for the last write of this key. */
function valueBefore(name: string, previous: readonly AuditRecord[]): string | undefined {
  for (const { action, values = {} } of previous) {
    if (action === 'delete') return undefined;
    if (Object.hasOwn(values, name)) return values[name];
  }
  return undefined;
}

function sourcesOf({ sources }: AuditRecord, previous: AuditRecord | undefined): readonly ChangedSource[] {
  return sources.map((source) => {
    const earlier = previous?.sources.find((other) => isSameSource(other, source))?.version;
    const isNew = earlier !== undefined && earlier !== source.version;
    return { ...source, ...(isNew ? { previousVersion: earlier } : {}) };
  });
}

function isSameSource(a: EntrySource, b: EntrySource): boolean {
  return a.store === b.store && a.key === b.key && a.property === b.property;
}

const NAMED_WORKLOAD = /^(\w+)\/(\S+)$/;

/** The last record about a workload tells how its restart ended. */
function restartsOf(records: readonly AuditRecord[]): readonly Restart[] {
  const last = new Map<string, Restart>();
  for (const record of records) {
    const { note = '', outcome, code } = record;
    const [, kind, name] = NAMED_WORKLOAD.exec(note) ?? [];
    const result = isPending(record) ? 'pending' : outcome;
    const workload = { kind: kind ?? 'selector', name: name ?? note };
    last.set(note, { ...workload, outcome: result, ...defined({ code }) });
  }
  return [...last.values()];
}

function causeOf(
  record: AuditRecord,
  previous: AuditRecord | undefined,
  configuration: AuditRecord | undefined,
): Cause {
  const { actor, action, note } = record;
  if (isPerson(actor)) return { kind: 'person' };
  if (actor.kind === 'drift' || action === 'repair') return { kind: 'drift' };
  if (actor.kind === 'startup' && note?.startsWith('found after a crash')) return { kind: 'recovery' };
  if (isWrite(record) && hasSameVersions(record, previous)) {
    const details = configurationFor(record, previous, configuration);
    if (details !== undefined) return { kind: 'configuration', ...details };
    // A change of the configuration is an event without the name of an event source.
    if (actor.kind === 'event' && actor.name === undefined) return { kind: 'configuration' };
  }
  if (actor.kind === 'startup') return { kind: 'unknown' };
  return { kind: actor.kind === 'event' ? 'event' : 'schedule' };
}

function hasSameVersions(record: AuditRecord, previous: AuditRecord | undefined): boolean {
  return sourcesOf(record, previous).every((source) => source.previousVersion === undefined);
}

/** A configuration can be the cause if it came into force after the previous write, and concerns the target. */
function configurationFor(
  record: AuditRecord,
  previous: AuditRecord | undefined,
  configuration: AuditRecord | undefined,
): Pick<Cause, 'sequence' | 'revision' | 'changes'> | undefined {
  if (configuration === undefined || configuration.sequence < (previous?.sequence ?? 0)) return undefined;
  const { sequence, revision, changes } = configuration;
  const own = changes?.filter(({ path }) => isAbout(path, record));
  if (own?.length === 0) return undefined;
  return { sequence, ...defined({ revision, changes: own }) };
}

/** Whether a field of the configuration belongs to the mapping or to a store of a record. */
function isAbout(path: string, { mapping, sources }: AuditRecord): boolean {
  const subjects = [`mappings.${mapping}`, ...sources.map(({ store }) => `stores.${store}`)];
  return subjects.some((subject) => path === subject || path.startsWith(`${subject}.`));
}

const ROLES: Readonly<Record<string, Participant['role']>> = {
  request: 'requested',
  approve: 'approved',
  reject: 'rejected',
  release: 'released',
};

function participants(decisions: readonly AuditRecord[]): readonly Participant[] {
  return decisions.flatMap(({ action, actor, time, sequence }) => {
    const role = ROLES[action];
    return role === undefined ? [] : [{ role, name: actor.name ?? actor.kind, time, sequence }];
  });
}

function configurationOf({ configHash, revision, changes = [] }: AuditRecord) {
  return { ...defined({ hash: configHash, revision }), changes };
}

function subjectOf({ mapping, namespace, secret, store, key }: AuditRecord) {
  return defined({ mapping, namespace, secret, store, key });
}

function reviewOf({ sequence: _, ...review }: Review): Omit<Review, 'sequence'> {
  return review;
}

function ascending(sequences: readonly number[]): readonly number[] {
  return [...new Set(sequences)].sort((a, b) => a - b);
}

type Defined<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };

function defined<T extends object>(members: T): Defined<T> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Defined<T>;
}
