import { ERRORS, isErrorCode } from '../core/error-codes.ts';
import { isObject, parseObject } from '../core/json.ts';
import type { TargetId } from '../core/target.ts';
import { LONGEST_NOTICE } from '../queue/queue.ts';
import { OUTCOMES, type OutcomeKind } from '../reconcile/outcome.ts';
import type { KeyPlan } from '../sync/compare.ts';

/** How the last run of a target ended: names, times and codes, so that replicas may tell each other. */
export interface Known {
  readonly mapping: string;
  readonly target: TargetId;
  readonly requestId: string;
  /** What the run went by, where replicas may have other configurations. */
  readonly by?: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly kind: OutcomeKind;
  readonly error?: { readonly code: string; readonly message: string; readonly remedy: string };
  /** Whether a person has to mend it. */
  readonly person: boolean;
  /** Runs in a row that failed. */
  readonly failures: number;
  /** When it is tried again by itself. */
  readonly retryAt?: number;
  /** Since when it is known to be what its sources said, before it failed. */
  readonly okAt?: number;
  readonly alive: boolean;
  readonly drifted?: boolean;
  /** Somebody fights over it; left alone until then. */
  readonly contestedUntil?: number;
  /** The only run of it so far came to no outcome, so that nothing is known of it but what the audit tells. */
  readonly undecided?: boolean;
  /** What it has proposed and the destroying step has yet to decide on. */
  readonly proposed?: boolean;
  /** Of a `kubernetes.io/tls` target: when its certificate ends, in milliseconds since 1970. */
  readonly certificateExpiresAt?: number;
  /** The record to whose versions it is pinned. */
  readonly pinned?: number;
  /** Of the object that was looked at or written last. */
  readonly resourceVersion?: string;
  /**
   * What was changed, or would be lost, and where a person asked what stayed; fingerprints only. Of another process'
   * outcome, those that it could tell.
   */
  readonly keys: readonly KeyPlan[];
  /** The id of what is held, where `keys` are not all of them. */
  readonly heldId?: string;
}

/** When a slot of a sweep was last found whole, and how the last round went. */
export interface Swept {
  readonly at: number;
  readonly okAt?: number;
  readonly code?: string;
}

// What replicas tell each other goes through Redis, where anybody with its password may write: what is read is taken
// apart and put together anew, and what is not as it should be is no notice at all.

const MESSAGE_LENGTHS = [300, 80];
/** The last time that a Date can be. */
const LAST_MS = 8.64e15;

/**
 * As short as it must be: what to do follows from the code as a rule, and else it is said as long as there is room. Of the
 * keys those go that there is none for.
 * @param heldId The id of a held change follows from all of its keys, so that it is told when some are left out.
 */
export function knownText(known: Known, heldId: (held: Known) => string | undefined): string {
  const { error } = known;
  const withMessage = (most: number, todo: string): Known => ({
    ...known,
    ...(error === undefined
      ? {}
      : { error: { code: error.code, message: error.message.slice(0, most), remedy: todo } }),
  });
  const remedy = error === undefined || error.remedy === todoOf(error.code) ? '' : error.remedy;
  const whole = JSON.stringify(withMessage(LONGEST_NOTICE, remedy));
  if (whole.length <= LONGEST_NOTICE) return whole;
  const id = known.heldId ?? (known.kind === 'held' ? heldId(known) : undefined);
  const bare = (most: number, todo: string): Known => ({
    ...withMessage(most, todo),
    keys: [],
    ...(id === undefined ? {} : { heldId: id }),
  });
  const sizeOf = (value: unknown): number => JSON.stringify(value).length;
  const shorter = [remedy, ''].flatMap((todo) => MESSAGE_LENGTHS.map((most) => bare(most, todo)));
  const shape = shorter.find((it) => sizeOf(it) <= LONGEST_NOTICE) ?? bare(0, '');
  let room = LONGEST_NOTICE - sizeOf(shape);
  const told = new Set<KeyPlan>();
  // First what the run was about.
  for (const key of [...known.keys.filter(isChanged), ...known.keys.filter((it) => !isChanged(it))]) {
    room -= sizeOf(key) + 1;
    if (room < 0) break;
    told.add(key);
  }
  return JSON.stringify({ ...shape, keys: known.keys.filter((it) => told.has(it)) });
}

export function isChanged({ action }: KeyPlan): boolean {
  return action !== 'keep';
}

/** `undefined`: another release has written it, or somebody else has. */
export function parseKnown(text: string): Known | undefined {
  const told = parseObject(text);
  const target = told?.target;
  if (told === undefined || !isObject(target)) return undefined;
  const { mapping, requestId, startedAt, endedAt, failures, keys, alive } = told;
  const { namespace, secret } = target;
  const kind = OUTCOMES.find((it) => it === told.kind);
  if (!isText(mapping) || !isText(requestId) || !isText(namespace) || !isText(secret)) return undefined;
  if (!isTime(startedAt) || !isTime(endedAt) || kind === undefined) return undefined;
  if (typeof failures !== 'number' || typeof alive !== 'boolean' || !Array.isArray(keys)) return undefined;
  const error = errorIn(told.error);
  if (error === 'wrong' || !keys.every(isKeyPlan)) return undefined;
  return {
    mapping,
    target: { namespace, secret },
    requestId,
    ...(isText(told.by) ? { by: told.by } : {}),
    startedAt,
    endedAt,
    kind,
    ...(error === undefined ? {} : { error }),
    person: told.person === true,
    failures,
    ...(isTime(told.retryAt) ? { retryAt: told.retryAt } : {}),
    ...(isTime(told.okAt) ? { okAt: told.okAt } : {}),
    alive,
    ...(told.drifted === true ? { drifted: true } : {}),
    ...(isTime(told.contestedUntil) ? { contestedUntil: told.contestedUntil } : {}),
    ...(told.undecided === true ? { undecided: true } : {}),
    ...(told.proposed === true ? { proposed: true } : {}),
    ...(isTime(told.certificateExpiresAt) ? { certificateExpiresAt: told.certificateExpiresAt } : {}),
    ...(isTime(told.pinned) ? { pinned: told.pinned } : {}),
    ...(isText(told.heldId) ? { heldId: told.heldId } : {}),
    ...(isText(told.resourceVersion) ? { resourceVersion: told.resourceVersion } : {}),
    keys: keys.map(({ name, action, before, after }: KeyPlan) => ({
      name,
      action,
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
    })),
  };
}

export function parseSwept(text: string): Swept | undefined {
  const told = parseObject(text);
  if (!isTime(told?.at)) return undefined;
  return {
    at: told.at,
    ...(isTime(told.okAt) ? { okAt: told.okAt } : {}),
    ...(isCode(told.code) ? { code: told.code } : {}),
  };
}

function errorIn(told: unknown): Known['error'] | 'wrong' {
  if (told === undefined) return undefined;
  if (!isObject(told) || !isCode(told.code) || typeof told.message !== 'string') return 'wrong';
  const { code, message, remedy } = told;
  return { code, message, remedy: isText(remedy) ? remedy : todoOf(code) };
}

/** A newer release may know more codes. */
function todoOf(code: string): string {
  return isErrorCode(code) ? ERRORS[code].todo : '';
}

const ACTIONS: readonly unknown[] = ['add', 'change', 'remove', 'keep'] satisfies KeyPlan['action'][];

function isKeyPlan(told: unknown): told is KeyPlan {
  if (!isObject(told)) return false;
  const { name, action, before, after } = told;
  return isText(name) && ACTIONS.includes(action) && isText(before ?? 'none') && isText(after ?? 'none');
}

function isText(told: unknown): told is string {
  return typeof told === 'string' && told !== '';
}

function isCode(told: unknown): told is string {
  return typeof told === 'string' && /^[A-Z][A-Z_]{1,62}$/.test(told);
}

function isTime(told: unknown): told is number {
  return typeof told === 'number' && told >= 0 && told <= LAST_MS;
}
