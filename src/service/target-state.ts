import { z } from 'zod';
import { ERRORS, isErrorCode } from '../core/error-codes.ts';
import { parseAny } from '../core/json.ts';
import { RUN_OUTCOMES } from '../core/target.ts';
import { requestIdFrom } from '../core/tracer.ts';
import { MAX_MESSAGE_LENGTH } from '../queue/queue.ts';
import type { KeyPlan } from '../sync/drift.ts';

// The format of the messages. Anyone with the Redis password can write them. A message is ignored if a required field
// is invalid. Invalid optional fields and unknown fields are dropped.

/** The largest time that a `Date` can represent. */
const MAX_DATE_MS = 8.64e15;

const text = z.string().min(1);
/** Milliseconds since 1970. */
const time = z.number().min(0).max(MAX_DATE_MS);
const code = z.string().regex(/^[A-Z][A-Z_]{1,62}$/);
const optionalText = text.optional().catch(undefined);
const optionalTime = time.optional().catch(undefined);
const optionalNumber = z.number().min(0).optional().catch(undefined);
const optionalFlag = z.boolean().optional().catch(undefined);

/** A message omits the remedy if it is the default for the code. */
const errorSchema = z
  .object({ code, message: z.string(), remedy: optionalText })
  .transform((error) => ({ ...error, remedy: error.remedy ?? remedyOf(error.code) }));

const keySchema = z.object({
  name: text,
  action: z.enum(['add', 'change', 'remove', 'keep']),
  before: text.exactOptional(),
  after: text.exactOptional(),
}) satisfies z.ZodType<KeyPlan>;

const holdSchema = z.object({ reason: text.max(300), since: time });

const targetStateSchema = z.object({
  mapping: text,
  target: z.object({ namespace: text, secret: text }).readonly(),
  /** A request id of another form is replaced. */
  requestId: text.transform(requestIdFrom),
  /** Hash of the configuration that the run used. Replicas may use different configurations. */
  by: optionalText,
  startedAt: time,
  endedAt: time,
  kind: z.enum(RUN_OUTCOMES),
  error: errorSchema.optional(),
  /** Whether an operator must act. */
  person: z.boolean().catch(false),
  /** Consecutive failed runs. */
  failures: z.number(),
  /** Time of the next automatic retry. */
  retryAt: optionalTime,
  /** When the target was last known to match its sources. */
  okAt: optionalTime,
  alive: z.boolean(),
  drifted: optionalFlag,
  /** Until this time the target is not repaired, because another controller keeps changing it. */
  contestedUntil: optionalTime,
  /** Set if the only run so far had no outcome. Then only the audit contains the target's state. */
  undecided: optionalFlag,
  /** Whether the run proposed a deletion on which the deletion step has not decided yet. */
  proposed: optionalFlag,
  /** For a `kubernetes.io/tls` target: when its certificate expires, in milliseconds since 1970. */
  certificateExpiresAt: optionalTime,
  /** The sequence number of the record to which the target is pinned. */
  pinned: optionalNumber,
  /** The id of a held change. Set only if `keys` is incomplete. */
  heldId: optionalText,
  /** Why and since when a change is held. Set by the deletion step. */
  hold: holdSchema.optional().catch(undefined),
  /** What works, but needs attention. A state from another process may lack it. */
  warnings: z
    .array(z.object({ code, message: z.string() }))
    .readonly()
    .optional()
    .catch(undefined),
  /** Version of the object that was last read or written. */
  resourceVersion: optionalText,
  /**
   * Changed or removed keys. After a manual run, also unchanged ones. Contains fingerprints, never values. A state from
   * another process may lack keys, because messages have a limited size.
   */
  keys: z.array(keySchema).readonly(),
});

/** The result of a target's last run: names, times and codes. Replicas share it. */
export type TargetState = Readonly<z.output<typeof targetStateSchema>>;

const sweepStateSchema = z.object({ at: time, okAt: optionalTime, code: code.optional().catch(undefined) });

/** When a sweep shard was last checked, when it was last checked completely, and the error code of its last sweep. */
export type SweepState = Readonly<z.output<typeof sweepStateSchema>>;

/** Returns `undefined` for a message of another format. */
export function parseTargetState(message: string): TargetState | undefined {
  return targetStateSchema.safeParse(parseAny(message)).data;
}

export function parseSweepState(message: string): SweepState | undefined {
  return sweepStateSchema.safeParse(parseAny(message)).data;
}

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
  const remedy = error === undefined || error.remedy === remedyOf(error.code) ? '' : error.remedy;
  const complete = JSON.stringify({ ...state, error: error && { ...error, remedy } });
  if (complete.length <= MAX_MESSAGE_LENGTH) return complete;

  const id = state.heldId ?? (state.kind === 'held' ? heldId(state) : undefined);
  const withoutKeys = (messageLength: number, shownRemedy: string): TargetState => ({
    ...state,
    error: error && { ...error, message: error.message.slice(0, messageLength), remedy: shownRemedy },
    keys: [],
    warnings: undefined,
    heldId: id,
  });
  const candidates = [remedy, ''].flatMap((shown) => [withoutKeys(300, shown), withoutKeys(80, shown)]);
  const shortened = candidates.find(fits) ?? withoutKeys(0, '');
  return JSON.stringify({ ...shortened, keys: keysThatFit(state.keys, shortened) });
}

/** Returns the keys that fit into the message. Changed keys come first. */
function keysThatFit(keys: readonly KeyPlan[], message: TargetState): readonly KeyPlan[] {
  let room = MAX_MESSAGE_LENGTH - JSON.stringify(message).length;
  const included = new Set<KeyPlan>();
  for (const key of [...keys.filter(isChanged), ...keys.filter((unchanged) => !isChanged(unchanged))]) {
    room -= JSON.stringify(key).length + 1;
    if (room < 0) break;
    included.add(key);
  }
  return keys.filter((key) => included.has(key));
}

export function isChanged({ action }: KeyPlan): boolean {
  return action !== 'keep';
}

function fits(state: TargetState): boolean {
  return JSON.stringify(state).length <= MAX_MESSAGE_LENGTH;
}

/** A newer release may use codes that this one does not know. */
function remedyOf(errorCode: string): string {
  return isErrorCode(errorCode) ? ERRORS[errorCode].remedy : '';
}
