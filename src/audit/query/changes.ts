import type { AuditRecord } from '../entry.ts';
import { isWrite } from '../record-index.ts';
import type { Review } from '../store.ts';
import { causeOf, versionBefore } from './change-cause.ts';
import type { Change, ChangedSource, KeyChange, Participant, Restart, Surroundings } from './change-types.ts';

// A change is what a person sees as one event: the records of an intent, its outcome, the reads of its sources and its
// restarts are one change. This file is the only place that turns records into changes. It reads nothing.

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
    ...defined({ since: record.since, reviewOf: record.review?.sequence }),
    ...(around.review === undefined ? {} : { review: withoutSequence(around.review) }),
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
  const after = (name: string) => (Object.hasOwn(values, name) ? values[name] : undefined);
  const before = (name: string) => valueBefore(name, previous);
  const added = keys.added.map(
    (name): KeyChange => ({ name, change: 'added', ...defined({ after: after(name) }) }),
  );
  const changed = keys.changed.map((name): KeyChange => {
    const fingerprints = defined({ before: before(name), after: after(name) });
    return { name, change: 'changed', ...fingerprints };
  });
  const removed = keys.removed.map(
    (name): KeyChange => ({ name, change: 'removed', ...defined({ before: before(name) }) }),
  );
  const named = new Set([...keys.added, ...keys.changed, ...keys.removed]);
  const kept = Object.entries(values)
    .filter(([name]) => !named.has(name))
    .map(([name, value]): KeyChange => ({ name, change: 'kept', before: value, after: value }));
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
    const earlier = versionBefore(source, previous);
    const isNew = earlier !== undefined && earlier !== source.version;
    return { ...source, ...(isNew ? { previousVersion: earlier } : {}) };
  });
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

function withoutSequence({ sequence: _, ...review }: Review): Omit<Review, 'sequence'> {
  return review;
}

function ascending(sequences: readonly number[]): readonly number[] {
  return [...new Set(sequences)].sort((a, b) => a - b);
}

type Defined<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };

function defined<T extends object>(members: T): Defined<T> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Defined<T>;
}
