import { type PendingTrigger, rankOf } from '../pending-trigger.ts';
import { FALLBACK_REASON, type Job, REASONS } from '../queue.ts';
import { pause, type Timers } from '../timers.ts';
import type { Client } from './clients.ts';

/**
 * For each subject, the merged triggers since its last run began: the most urgent reason with its request id, and the
 * earliest due time. A BullMQ job only records that a subject must run. These keys record why and when, so an add for
 * an existing job keeps its reason and due time.
 */
export interface PendingTriggers {
  /**
   * Merges a trigger into the stored one and returns the result. Returns `undefined` if `once` marks the add as a
   * duplicate.
   */
  record(
    trigger: PendingTrigger,
    once: { readonly id: string; readonly ttlMs: number } | undefined,
  ): Promise<PendingTrigger | undefined>;
  /** Returns and deletes the stored trigger when a run begins. */
  take(subject: string): Promise<PendingTrigger | undefined>;
  /**
   * Confirms the stored trigger after its job was added, and returns it. A confirmed trigger is kept as long as a job
   * may wait.
   */
  markQueued(subject: string): Promise<PendingTrigger | undefined>;
  /** Deletes the unconfirmed trigger if it has this request id. */
  cancel(subject: string, requestId: string): Promise<void>;
  /**
   * If the job was added, keeps the id of `once` for `ttlMs`. Otherwise deletes the id, so that the add can be
   * repeated.
   */
  settleOnce(
    subject: string,
    once: { readonly id: string; readonly ttlMs: number },
    added: boolean,
  ): Promise<void>;
}

/** Expiry of a confirmed trigger. It matters only if Redis has lost the job. */
const RETENTION_MS = 86_400_000;
/**
 * Expiry of an unconfirmed trigger. If an add takes longer, its caller has received an error, and no later run may have
 * that request id.
 */
const UNCONFIRMED_MS = 10_000;

// A trigger has a separate key until a job is placed for it. This key contains the merge with the confirmed trigger.
// The confirmed key may live for hours; the separate key of a failed add expires within seconds. The merge follows the
// rule of `mergeTriggers`.
const RECORD_SCRIPT = `
if ARGV[5] ~= '0' and not redis.call('SET', KEYS[3], '1', 'NX', 'PX', ARGV[5]) then return false end
local rank, due, request = ARGV[1], ARGV[2], ARGV[3]
for index = 1, 2 do
  local old = redis.call('GET', KEYS[index])
  if old then
    local oldRank, oldDue, oldRequest = string.match(old, '^(%d+) (%d+) (.*)$')
    if tonumber(oldRank) < tonumber(rank) then rank, request = oldRank, oldRequest end
    if tonumber(oldDue) < tonumber(due) then due = oldDue end
  end
end
local trigger = rank .. ' ' .. due .. ' ' .. request
redis.call('SET', KEYS[2], trigger, 'PX', ARGV[4])
return trigger`;

const TAKE_SCRIPT = `
local confirmed, unconfirmed = redis.call('GETDEL', KEYS[1]), redis.call('GETDEL', KEYS[2])
return unconfirmed or confirmed`;

const MARK_QUEUED_SCRIPT = `
local unconfirmed = redis.call('GETDEL', KEYS[2])
if not unconfirmed then return redis.call('GETEX', KEYS[1], 'PX', ARGV[1]) end
redis.call('SET', KEYS[1], unconfirmed, 'PX', ARGV[1])
return unconfirmed`;

const CANCEL_SCRIPT = `
local unconfirmed = redis.call('GET', KEYS[1])
if unconfirmed and string.match(unconfirmed, '^%d+ %d+ (.*)$') == ARGV[1] then redis.call('DEL', KEYS[1]) end
return false`;

export function createPendingTriggers(client: Client, names: string): PendingTriggers {
  const keysOf = (subject: string) => [`${names}:wish:${subject}`, `${names}:asked:${subject}`] as const;
  const onceKey = (subject: string, { id }: { readonly id: string }): string =>
    `${names}:once:${subject}:${id}`;
  return {
    async record({ job, dueAt }, once) {
      const { subject, requestId } = job;
      const keys = keysOf(subject);
      const onceFor = once === undefined ? keys[0] : onceKey(subject, once);
      const time = Math.round(dueAt);
      const answer = await client.eval(
        ...([RECORD_SCRIPT, 3, ...keys, onceFor] as const),
        ...[rankOf(job), time, requestId, UNCONFIRMED_MS, once === undefined ? 0 : UNCONFIRMED_MS],
      );
      return parse(subject, answer);
    },
    take: async (subject) => parse(subject, await client.eval(TAKE_SCRIPT, 2, ...keysOf(subject))),
    markQueued: async (subject) =>
      parse(subject, await client.eval(MARK_QUEUED_SCRIPT, 2, ...keysOf(subject), RETENTION_MS)),
    async cancel(subject, requestId) {
      await client.eval(CANCEL_SCRIPT, 1, keysOf(subject)[1], requestId);
    },
    async settleOnce(subject, once, added) {
      if (added) await client.pexpire(onceKey(subject, once), once.ttlMs);
      else await client.del(onceKey(subject, once));
    },
  };
}

function parse(subject: string, text: unknown): PendingTrigger | undefined {
  if (typeof text !== 'string') return undefined;
  const [, rank = '', due = '', requestId = ''] = /^(\d+) (\d+) (.*)$/s.exec(text) ?? [];
  if (rank === '') return undefined;
  const reason = REASONS[Number(rank)] ?? FALLBACK_REASON;
  return { job: { subject, reason, requestId }, dueAt: Number(due) };
}

const RETRY_MS = 250;

/**
 * After a failed manual request, deletes its trigger as soon as Redis is reachable. Redis may have stored the trigger
 * although the caller received an error. Until the key expires, the next run of the subject would have the id of the
 * failed request.
 */
export async function cancelTrigger(
  triggers: Pick<PendingTriggers, 'cancel'>,
  { subject, requestId }: Job,
  { timers, signal }: { readonly timers: Timers; readonly signal: AbortSignal },
): Promise<void> {
  for (let waited = 0; waited < UNCONFIRMED_MS && !signal.aborted; waited += RETRY_MS) {
    try {
      return await triggers.cancel(subject, requestId);
    } catch (thrown) {
      if (!(thrown instanceof Error)) throw thrown;
    }
    await pause(RETRY_MS, timers);
  }
}
