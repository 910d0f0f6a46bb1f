import { ERRORS, isErrorCode } from '../core/error-codes.ts';
import { isObject, parseObject } from '../core/json.ts';
import type { TargetId } from '../core/target.ts';
import { MAX_MESSAGE_LENGTH } from '../queue/queue.ts';
import { OUTCOMES, type OutcomeKind } from '../reconcile/outcome.ts';
import type { KeyPlan } from '../sync/drift.ts';

/** The result of a target's last run: names, times and codes. Replicas share it. */
export interface TargetState {
  readonly mapping: string;
  readonly target: TargetId;
  readonly requestId: string;
  /** Hash of the configuration that the run used. Replicas may use different configurations. */
  readonly by?: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly kind: OutcomeKind;
  readonly error?: { readonly code: string; readonly message: string; readonly remedy: string };
  /** Whether an operator must act. */
  readonly person: boolean;
  /** Consecutive failed runs. */
  readonly failures: number;
  /** Time of the next automatic retry. */
  readonly retryAt?: number;
  /** When the target was last known to match its sources. */
  readonly okAt?: number;
  readonly alive: boolean;
  readonly drifted?: boolean;
  /** Until this time the target is not repaired, because another controller keeps changing it. */
  readonly contestedUntil?: number;
  /** Set if the only run so far had no outcome. Then only the audit contains the target's state. */
  readonly undecided?: boolean;
  /** Whether the run proposed a deletion on which the deletion step has not decided yet. */
  readonly proposed?: boolean;
  /** For a `kubernetes.io/tls` target: when its certificate expires, in milliseconds since 1970. */
  readonly certificateExpiresAt?: number;
  /** The record to which the target is pinned. */
  readonly pinned?: number;
  /** Version of the object that was last read or written. */
  readonly resourceVersion?: string;
  /**
   * Changed or removed keys. After a manual run, also unchanged ones. Contains fingerprints, never values. A state from
   * another process may lack keys, because messages have a limited size.
   */
  readonly keys: readonly KeyPlan[];
  /** The id of a held change. Set only if `keys` is incomplete. */
  readonly heldId?: string;
}

/** When a sweep shard was last checked, when it was last checked completely, and the error code of its last round. */
export interface SweepState {
  readonly at: number;
  readonly okAt?: number;
  readonly code?: string;
}

// Anyone with the Redis password can write these messages. Parse each field, and ignore invalid messages.

const MESSAGE_LENGTHS = [300, 80];
/** The largest time that a `Date` can represent. */
const MAX_DATE_MS = 8.64e15;

/**
 * Serializes a state within the message limit. The remedy is omitted if it is the default for the code or does not fit.
 * Keys that do not fit are omitted.
 *
 * @param heldId Computes the id of a held change from all of its keys. The id is included if keys are omitted.
 */
export function formatTargetState(
  state: TargetState,
  heldId: (held: TargetState) => string | undefined,
): string {
  const { error } = state;
  const withMessage = (most: number, todo: string): TargetState => ({
    ...state,
    ...(error === undefined
      ? {}
      : { error: { code: error.code, message: error.message.slice(0, most), remedy: todo } }),
  });
  const remedy = error === undefined || error.remedy === remedyOf(error.code) ? '' : error.remedy;
  const complete = JSON.stringify(withMessage(MAX_MESSAGE_LENGTH, remedy));
  if (complete.length <= MAX_MESSAGE_LENGTH) return complete;
  const id = state.heldId ?? (state.kind === 'held' ? heldId(state) : undefined);
  const bare = (most: number, todo: string): TargetState => ({
    ...withMessage(most, todo),
    keys: [],
    ...(id === undefined ? {} : { heldId: id }),
  });
  const sizeOf = (value: unknown): number => JSON.stringify(value).length;
  const shorter = [remedy, ''].flatMap((todo) => MESSAGE_LENGTHS.map((most) => bare(most, todo)));
  const shortest = shorter.find((targetState) => sizeOf(targetState) <= MAX_MESSAGE_LENGTH) ?? bare(0, '');
  let room = MAX_MESSAGE_LENGTH - sizeOf(shortest);
  const included = new Set<KeyPlan>();
  // Include changed keys first.
  for (const key of [
    ...state.keys.filter(isChanged),
    ...state.keys.filter((keyPlan) => !isChanged(keyPlan)),
  ]) {
    room -= sizeOf(key) + 1;
    if (room < 0) break;
    included.add(key);
  }
  return JSON.stringify({ ...shortest, keys: state.keys.filter((keyPlan) => included.has(keyPlan)) });
}

export function isChanged({ action }: KeyPlan): boolean {
  return action !== 'keep';
}

/** Returns `undefined` for a message of another format. */
export function parseTargetState(text: string): TargetState | undefined {
  const value = parseObject(text);
  const target = value?.target;
  if (value === undefined || !isObject(target)) return undefined;
  const { mapping, requestId, startedAt, endedAt, failures, keys, alive } = value;
  const { namespace, secret } = target;
  const kind = OUTCOMES.find((outcome) => outcome === value.kind);
  if (!isText(mapping) || !isText(requestId) || !isText(namespace) || !isText(secret)) return undefined;
  if (!isTime(startedAt) || !isTime(endedAt) || kind === undefined) return undefined;
  if (typeof failures !== 'number' || typeof alive !== 'boolean' || !Array.isArray(keys)) return undefined;
  const error = parseError(value.error);
  if (error === 'wrong' || !keys.every(isKeyPlan)) return undefined;
  return {
    mapping,
    target: { namespace, secret },
    requestId,
    ...(isText(value.by) ? { by: value.by } : {}),
    startedAt,
    endedAt,
    kind,
    ...(error === undefined ? {} : { error }),
    person: value.person === true,
    failures,
    ...(isTime(value.retryAt) ? { retryAt: value.retryAt } : {}),
    ...(isTime(value.okAt) ? { okAt: value.okAt } : {}),
    alive,
    ...(value.drifted === true ? { drifted: true } : {}),
    ...(isTime(value.contestedUntil) ? { contestedUntil: value.contestedUntil } : {}),
    ...(value.undecided === true ? { undecided: true } : {}),
    ...(value.proposed === true ? { proposed: true } : {}),
    ...(isTime(value.certificateExpiresAt) ? { certificateExpiresAt: value.certificateExpiresAt } : {}),
    ...(isTime(value.pinned) ? { pinned: value.pinned } : {}),
    ...(isText(value.heldId) ? { heldId: value.heldId } : {}),
    ...(isText(value.resourceVersion) ? { resourceVersion: value.resourceVersion } : {}),
    keys: keys.map(({ name, action, before, after }: KeyPlan) => ({
      name,
      action,
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
    })),
  };
}

export function parseSweepState(text: string): SweepState | undefined {
  const value = parseObject(text);
  if (!isTime(value?.at)) return undefined;
  return {
    at: value.at,
    ...(isTime(value.okAt) ? { okAt: value.okAt } : {}),
    ...(isCode(value.code) ? { code: value.code } : {}),
  };
}

function parseError(value: unknown): TargetState['error'] | 'wrong' {
  if (value === undefined) return undefined;
  if (!isObject(value) || !isCode(value.code) || typeof value.message !== 'string') return 'wrong';
  const { code, message, remedy } = value;
  return { code, message, remedy: isText(remedy) ? remedy : remedyOf(code) };
}

/** A newer release may use codes that this one does not know. */
function remedyOf(code: string): string {
  return isErrorCode(code) ? ERRORS[code].remedy : '';
}

const ACTIONS: readonly unknown[] = ['add', 'change', 'remove', 'keep'] satisfies KeyPlan['action'][];

function isKeyPlan(value: unknown): value is KeyPlan {
  if (!isObject(value)) return false;
  const { name, action, before, after } = value;
  return isText(name) && ACTIONS.includes(action) && isText(before ?? 'none') && isText(after ?? 'none');
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function isCode(value: unknown): value is string {
  return typeof value === 'string' && /^[A-Z][A-Z_]{1,62}$/.test(value);
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= MAX_DATE_MS;
}
