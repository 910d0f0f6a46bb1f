import { rankOf, type Wish } from './order.ts';
import { REASONS } from './queue.ts';
import type { Client } from './redis-clients.ts';

/**
 * What was asked for since a subject's last run began, one small key each: the most urgent reason with its
 * request id, and the earliest time. BullMQ's jobs say that a subject is to run; this says why and when, and so
 * survives that an add meets a job of any age.
 */
export interface Wishes {
  /** Adds to what stands and gives both together; `undefined`: dropped by `once`. */
  ask(
    wish: Wish,
    once: { readonly id: string; readonly ttlMs: number } | undefined,
  ): Promise<Wish | undefined>;
  /** A run begins, for the reason that it gives. */
  take(subject: string): Promise<Wish | undefined>;
  /** What stands, of which a job was placed: from now on it stands for as long as that may wait. */
  peek(subject: string): Promise<Wish | undefined>;
  /** What was asked for under `once` was added; or not, and may be asked for again. */
  settleOnce(
    subject: string,
    once: { readonly id: string; readonly ttlMs: number },
    added: boolean,
  ): Promise<void>;
}

/** For a wish whose job Redis has lost. */
const KEPT_MS = 86_400_000;
/**
 * An add that takes longer has failed, and its asker was told so: what was asked for must not be done later, in the name
 * of whoever asked, when another one asks for something else.
 */
const PENDING_MS = 10_000;

// As `merged` in order.ts.
const ASK = `
if ARGV[5] ~= '0' and not redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[5]) then return false end
local rank, due, request = ARGV[1], ARGV[2], ARGV[3]
local old = redis.call('GET', KEYS[1])
if old then
  local oldRank, oldDue, oldRequest = string.match(old, '^(%d+) (%d+) (.*)$')
  if tonumber(oldRank) < tonumber(rank) then rank, request = oldRank, oldRequest end
  if tonumber(oldDue) < tonumber(due) then due = oldDue end
end
local wish = rank .. ' ' .. due .. ' ' .. request
redis.call('SET', KEYS[1], wish, 'PX', math.max(ARGV[4], redis.call('PTTL', KEYS[1])))
return wish`;

export function createWishes(client: Client, names: string): Wishes {
  const wishKey = (subject: string): string => `${names}:wish:${subject}`;
  const onceKey = (subject: string, { id }: { readonly id: string }): string =>
    `${names}:once:${subject}:${id}`;
  return {
    async ask({ job, due }, once) {
      const { subject, requestId } = job;
      const onceFor = once === undefined ? wishKey(subject) : onceKey(subject, once);
      const time = Math.round(due);
      const answer = await client.eval(
        ...([ASK, 2, wishKey(subject), onceFor] as const),
        ...[rankOf(job), time, requestId, PENDING_MS, once === undefined ? 0 : PENDING_MS],
      );
      return typeof answer === 'string' ? parse(subject, answer) : undefined;
    },
    async take(subject) {
      const text = await client.getdel(wishKey(subject));
      return text === null ? undefined : parse(subject, text);
    },
    async peek(subject) {
      const text = await client.getex(wishKey(subject), 'PX', KEPT_MS);
      return text === null ? undefined : parse(subject, text);
    },
    async settleOnce(subject, once, added) {
      if (added) await client.pexpire(onceKey(subject, once), once.ttlMs);
      else await client.del(onceKey(subject, once));
    },
  };
}

function parse(subject: string, text: string): Wish | undefined {
  const [, rank = '', due = '', requestId = ''] = /^(\d+) (\d+) (.*)$/s.exec(text) ?? [];
  const reason = REASONS[Number(rank)];
  if (rank === '' || reason === undefined) return undefined;
  return { job: { subject, reason, requestId }, due: Number(due) };
}
