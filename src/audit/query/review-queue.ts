import { createHash } from 'node:crypto';
import { ERRORS, isErrorCode } from '../../core/error-codes.ts';
import { formatTarget, type TargetId } from '../../core/target.ts';
import type { Change } from './change-types.ts';

// The review queue: what a person should look at, grouped by its cause. One store that is down is one row. This file
// reads nothing.

export type CauseKind =
  | 'approval'
  | 'held'
  | 'store'
  | 'source'
  | 'cluster'
  | 'configuration'
  | 'sign-in'
  | 'command'
  | 'restart'
  | 'refusal'
  | 'deletion'
  | 'adoption'
  | 'rollback'
  | 'flagged';

export interface ReviewCause {
  readonly id: string;
  readonly kind: CauseKind;
  readonly title: string;
  readonly code?: string;
  readonly store?: string;
  readonly key?: string;
  readonly mapping?: string;
  readonly requestId?: string;
  /** How many changes have this cause. */
  readonly count: number;
  /** The times of the first and of the last change. */
  readonly first: string;
  readonly last: string;
  /** The sequences to review, newest first, at most `MAX_SEQUENCES`. */
  readonly sequences: readonly number[];
  /** How many namespaces and targets are affected. */
  readonly namespaces: number;
  readonly targets: number;
  /** The ids with which the changes can be released now. */
  readonly held?: readonly string[];
  /** For flags: the day of the follow-up, and whether it has come. */
  readonly followUp?: string;
  readonly isDue?: boolean;
  /** The newest change. */
  readonly example: Change;
}

export const MAX_SEQUENCES = 200;

interface CauseKey {
  readonly kind: CauseKind;
  readonly title: string;
  readonly code?: string | undefined;
  readonly store?: string | undefined;
  readonly key?: string | undefined;
  readonly mapping?: string | undefined;
  readonly requestId?: string | undefined;
  readonly followUp?: string | undefined;
  /** What else distinguishes the cause from others. */
  readonly group?: string | undefined;
}

/** A change that waits for a decision now. The records of holds do not contain the reason. */
export interface HeldChange extends TargetId {
  readonly id: string;
  readonly reason?: string;
}

export interface Present {
  /** The present day, as `2026-01-31`. */
  readonly today: string;
  readonly held: readonly HeldChange[];
}

/**
 * Groups changes by their cause. The most urgent kind comes first, and within a kind the newest cause.
 * @param changes Newest first.
 */
export function groupByCause(changes: readonly Change[], { today, held }: Present): readonly ReviewCause[] {
  const heldTargets = new Map(held.map((one) => [formatTarget(one), one]));
  const heldOf = ({ namespace = '', secret = '' }: Change): HeldChange | undefined =>
    heldTargets.get(formatTarget({ namespace, secret }));
  const groups = new Map<string, { readonly key: CauseKey; readonly changes: Change[] }>();
  for (const change of changes) {
    const key = causeOf(change, heldOf(change));
    const id = JSON.stringify({ ...key, title: undefined });
    const group = groups.get(id) ?? { key, changes: [] };
    groups.set(id, group);
    group.changes.push(change);
  }
  const causes = [...groups].map(([id, group]) => {
    const cause = toCause(id, group.key, group.changes, today);
    if (cause.kind !== 'held') return cause;
    const ids = group.changes.flatMap((change) => heldOf(change)?.id ?? []);
    return { ...cause, held: [...new Set(ids)] };
  });
  return causes.sort(
    (a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) || b.example.sequence - a.example.sequence,
  );
}

/** The kinds in the order of their urgency. */
export const KINDS: readonly CauseKind[] = [
  'held',
  'approval',
  'store',
  'cluster',
  'configuration',
  'source',
  'refusal',
  'restart',
  'deletion',
  'adoption',
  'rollback',
  'sign-in',
  'command',
  'flagged',
];

function toCause(id: string, key: CauseKey, changes: readonly Change[], today: string): ReviewCause {
  const [example] = changes;
  const oldest = changes.at(-1);
  if (example === undefined || oldest === undefined) throw new RangeError('a cause without a change');
  const { kind, title, followUp, group: _, ...subject } = key;
  const targets = new Set(
    changes.flatMap(({ namespace, secret }) => (secret === undefined ? [] : `${namespace}/${secret}`)),
  );
  const namespaces = new Set(changes.flatMap(({ namespace }) => namespace ?? []));
  return {
    id: createHash('sha256').update(id).digest('hex').slice(0, 16),
    ...{ kind, title },
    ...Object.fromEntries(Object.entries(subject).filter(([, value]) => value !== undefined)),
    count: changes.length,
    first: oldest.time,
    last: example.time,
    sequences: changes.slice(0, MAX_SEQUENCES).map(({ sequence }) => sequence),
    namespaces: namespaces.size,
    targets: targets.size,
    ...(kind === 'flagged' ? { isDue: followUp === undefined || followUp <= today } : {}),
    ...(followUp === undefined ? {} : { followUp }),
    example,
  };
}

function causeOf(change: Change, held: HeldChange | undefined): CauseKey {
  const { review, action, outcome, code, note, requestId } = change;
  if (review?.state === 'flagged') return flagOf(change);
  if (action === 'request')
    return { kind: 'approval', title: `${note ?? action} waits for approval`, requestId };
  if (outcome === 'held') return holdOf(held);
  if (outcome === 'ok') return successOf(change);
  if (action === 'configure') return { kind: 'configuration', title: 'the configuration is not valid', code };
  if (action === 'command') return commandOf(change);
  if (action === 'restart')
    return {
      kind: 'restart',
      title: `restarts for mapping ${change.mapping} fail`,
      code,
      mapping: change.mapping,
    };
  return failureOf(change);
}

/** The reason contains numbers that change while more changes are held. */
function holdOf(held: HeldChange | undefined): CauseKey {
  if (held === undefined)
    return { kind: 'held', title: 'changes were held earlier, and no longer wait', group: 'past' };
  const { reason = 'the change waits for a decision' } = held;
  return { kind: 'held', title: reason, group: reason.replaceAll(/\d+ targets?/g, '') };
}

function flagOf({ review }: Change): CauseKey {
  const note = review?.note;
  return {
    kind: 'flagged',
    title: note ?? 'flagged without a note',
    followUp: review?.followUp,
    group: note,
  };
}

function successOf({ action, mapping, requestId }: Change): CauseKey {
  if (action === 'delete') return { kind: 'deletion', title: 'Secrets were deleted', requestId };
  if (action === 'adopt') return { kind: 'adoption', title: 'Secrets were adopted', requestId };
  return { kind: 'rollback', title: `mapping ${mapping} was rolled back`, mapping };
}

function commandOf({ code, note = '', actor }: Change): CauseKey {
  if (note.startsWith('sign-in')) return { kind: 'sign-in', title: 'sign-ins were refused', code };
  const name = actor.name ?? actor.kind;
  return { kind: 'command', title: `commands of ${name} were refused`, code, group: name };
}

/** The codes that concern one key of a store, and not the store itself. */
const KEY_CODES: readonly string[] = [
  'ACCESS_DENIED',
  'SOURCE_ABSENT',
  'SOURCE_DISABLED',
  'SOURCE_DELETED',
  'VERSION_GONE',
  'BAD_ANSWER',
];

function failureOf(change: Change): CauseKey {
  const { code = 'INTERNAL', mapping, action, outcome } = change;
  const { store, key } = sourceOf(change);
  const group = isErrorCode(code) ? ERRORS[code].group : 'ours';
  if (group === 'store' && store !== undefined) {
    if (!KEY_CODES.includes(code)) return { kind: 'store', title: `store ${store} fails`, store };
    return { kind: 'source', title: `key ${key} of store ${store} cannot be used`, code, store, key };
  }
  if (code === 'CLUSTER_UNAVAILABLE') return { kind: 'cluster', title: 'the API server fails' };
  const about = mapping === undefined ? `the action ${action}` : `mapping ${mapping}`;
  const verb = outcome === 'refused' ? 'is refused' : 'fails';
  return { kind: 'refusal', title: `${about} ${verb}`, code, mapping };
}

/** The note of a failed target names its source as the errors do: `store NAME, key KEY, …`. */
const SUBJECT = /^store ([^,\s]+)(?:, key (.+?)(?:, (?:property|version) .*)?)?$/;

function sourceOf({ store, key, note = '' }: Change): { readonly store?: string; readonly key?: string } {
  if (store !== undefined) return { store, ...(key === undefined ? {} : { key }) };
  const [, named, namedKey] = SUBJECT.exec(note) ?? [];
  return {
    ...(named === undefined ? {} : { store: named }),
    ...(namedKey === undefined ? {} : { key: namedKey }),
  };
}
