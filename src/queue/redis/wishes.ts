import { rankOf, type Wish } from '../order.ts';
import { type Job, OF_NEWER, REASONS } from '../queue.ts';
import { pause, type Timers } from '../timers.ts';
import type { Client } from './clients.ts';

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
  /** What stands. A job was placed for it: from now on it stands for as long as that may wait. */
  peek(subject: string): Promise<Wish | undefined>;
  /** What was asked for by this request and that nobody has placed a job for is called off. */
  forget(subject: string, requestId: string): Promise<void>;
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

// What is asked for stands apart until a job was placed for it, together with what stood before: that may stand for
// hours, and must not keep what its asker was told is refused. As `merged` in order.ts.
const ASK = `
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
local wish = rank .. ' ' .. due .. ' ' .. request
redis.call('SET', KEYS[2], wish, 'PX', ARGV[4])
return wish`;

const TAKE = `
local wish, asked = redis.call('GETDEL', KEYS[1]), redis.call('GETDEL', KEYS[2])
return asked or wish`;

const PLACED = `
local asked = redis.call('GETDEL', KEYS[2])
if not asked then return redis.call('GETEX', KEYS[1], 'PX', ARGV[1]) end
redis.call('SET', KEYS[1], asked, 'PX', ARGV[1])
return asked`;

const FORGET = `
local asked = redis.call('GET', KEYS[1])
if asked and string.match(asked, '^%d+ %d+ (.*)$') == ARGV[1] then redis.call('DEL', KEYS[1]) end
return false`;

export function createWishes(client: Client, names: string): Wishes {
  const keysOf = (subject: string) => [`${names}:wish:${subject}`, `${names}:asked:${subject}`] as const;
  const onceKey = (subject: string, { id }: { readonly id: string }): string =>
    `${names}:once:${subject}:${id}`;
  return {
    async ask({ job, due }, once) {
      const { subject, requestId } = job;
      const keys = keysOf(subject);
      const onceFor = once === undefined ? keys[0] : onceKey(subject, once);
      const time = Math.round(due);
      const answer = await client.eval(
        ...([ASK, 3, ...keys, onceFor] as const),
        ...[rankOf(job), time, requestId, PENDING_MS, once === undefined ? 0 : PENDING_MS],
      );
      return parse(subject, answer);
    },
    take: async (subject) => parse(subject, await client.eval(TAKE, 2, ...keysOf(subject))),
    peek: async (subject) => parse(subject, await client.eval(PLACED, 2, ...keysOf(subject), KEPT_MS)),
    async forget(subject, requestId) {
      await client.eval(FORGET, 1, keysOf(subject)[1], requestId);
    },
    async settleOnce(subject, once, added) {
      if (added) await client.pexpire(onceKey(subject, once), once.ttlMs);
      else await client.del(onceKey(subject, once));
    },
  };
}

function parse(subject: string, text: unknown): Wish | undefined {
  if (typeof text !== 'string') return undefined;
  const [, rank = '', due = '', requestId = ''] = /^(\d+) (\d+) (.*)$/s.exec(text) ?? [];
  if (rank === '') return undefined;
  const reason = REASONS[Number(rank)] ?? OF_NEWER;
  return { job: { subject, reason, requestId }, due: Number(due) };
}

const AGAIN_MS = 250;

/**
 * Calls off what a person asked for and was told is refused, as soon as Redis can be told. It may have come through, and
 * would be done in their name when something else has its subject worked on before it ends by itself.
 */
export async function callOff(
  wishes: Pick<Wishes, 'forget'>,
  { subject, requestId }: Job,
  { timers, signal }: { readonly timers: Timers; readonly signal: AbortSignal },
): Promise<void> {
  for (let waited = 0; waited < PENDING_MS && !signal.aborted; waited += AGAIN_MS) {
    try {
      return await wishes.forget(subject, requestId);
    } catch (thrown) {
      if (!(thrown instanceof Error)) throw thrown;
    }
    await pause(AGAIN_MS, timers);
  }
}
