import { type PendingTrigger, rankOf } from '../pending-trigger.ts';
import { FALLBACK_REASON, type Job, REASONS } from '../queue.ts';
import { pause, type Timers } from '../timers.ts';
import type { Client } from './clients.ts';

/**
 * The merged triggers of each subject since its last run began: the most urgent reason with its request id, and the
 * earliest due time. BullMQ's jobs record that a subject must run. These small keys record why and when, so an add is
 * not lost when it meets an existing job.
 */
export interface PendingTriggers {
  /** Merges a trigger into the stored one and returns the result, or `undefined` if `once` dropped it. */
  record(
    trigger: PendingTrigger,
    once: { readonly id: string; readonly ttlMs: number } | undefined,
  ): Promise<PendingTrigger | undefined>;
  /** Returns and deletes the stored trigger when a run begins. */
  take(subject: string): Promise<PendingTrigger | undefined>;
  /** Returns the stored trigger and confirms it: a job exists for it now, so it is kept as long as a job may wait. */
  markQueued(subject: string): Promise<PendingTrigger | undefined>;
  /** Deletes the unconfirmed trigger if this request recorded it. */
  cancel(subject: string, requestId: string): Promise<void>;
  /** Confirms the id of `once` if the job was added. Otherwise frees it, so that the add can be repeated. */
  settleOnce(
    subject: string,
    once: { readonly id: string; readonly ttlMs: number },
    added: boolean,
  ): Promise<void>;
}

/** Expiry of a trigger whose job Redis has lost. */
const RETENTION_MS = 86_400_000;
/**
 * Expiry of an unconfirmed trigger. An add that takes longer has failed and its caller knows. The trigger must not run
 * later under that caller's request id.
 */
const UNCONFIRMED_MS = 10_000;

// An unconfirmed trigger has a key of its own until a job is placed for it. It includes the confirmed trigger, which
// may live for hours and must not keep an add alive whose caller was told of a failure. The merge rule is that of
// `mergeTriggers`.
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
 * Deletes the trigger of a manual request that was answered with an error, as soon as Redis is reachable. The command
 * may have reached Redis all the same. Without this, the next run of the subject would carry the failed request's id
 * until the key expires.
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
