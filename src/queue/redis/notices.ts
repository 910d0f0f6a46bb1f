import { createShared } from '../../core/in-turn.ts';
import { parseAny } from '../../core/json.ts';
import { createNoticeBoard, isSmall, MOST_FIELDS } from '../notice-board.ts';
import type { Notices } from '../queue.ts';
import type { Timers } from '../timers.ts';
import type { RedisClients } from './clients.ts';

export interface RedisNotices extends Notices {
  close(): void;
}

/** The hash goes when nobody posted for so long. */
const KEPT_MS = 7 * 86_400_000;
const BATCH = 500;
/** Before the health, which holds what Redis refused for a while, calls it well again. */
const AGAIN_MS = 5_000;

/** How many messages there were, beside the notices: as a number it is no notice for anybody. */
const NUMBER = '#';

// Pairs of field and message, which is JSON: a text, or null for an end. Each message has the number after the one before,
// so that whoever hears them knows when one was missed.
const POST = `
local number = tonumber(redis.call('HGET', KEYS[1], '${NUMBER}') or '0') or 0
for i = 2, #ARGV, 2 do
  local field, message = ARGV[i], ARGV[i + 1]
  if message == 'null' then redis.call('HDEL', KEYS[1], field)
  elseif redis.call('HLEN', KEYS[1]) < ${MOST_FIELDS} or redis.call('HEXISTS', KEYS[1], field) == 1 then
    redis.call('HSET', KEYS[1], field, message)
  end
  number = number + 1
  redis.call('PUBLISH', KEYS[1], cjson.encode({field, message, number}))
end
redis.call('HSET', KEYS[1], '${NUMBER}', number)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 0`;

/**
 * A hash with what stands, and a channel of the same name that tells of changes. A connection that hears them may end and
 * be made anew without a word, as that of a cluster; and the new one may be refused what the one before heard, without a
 * word too. So a number that is left out means that something was missed, and one of ours that does not come back, that
 * nothing is heard.
 */
export function createRedisNotices(
  { quick, subscriber }: Pick<RedisClients, 'quick' | 'subscriber'>,
  key: string,
  { timers, onTrouble }: { readonly timers: Timers; readonly onTrouble: (thrown: unknown) => void },
): RedisNotices {
  const board = createNoticeBoard();
  const unsent = new Map<string, string | undefined>();
  let sending = false;
  let closed = false;
  let callOff = (): void => {};
  let lastHeard = 0;
  let isHeard = false;
  let listening = false;
  let callOffEcho: (() => void) | undefined;
  /** Fields that were told of while the hash is read: its answer may be older. */
  let fresher: Set<string> | undefined;

  const flush = async (): Promise<void> => {
    if (sending || closed) return;
    sending = true;
    const batch: [string, string | undefined][] = [];
    try {
      while (unsent.size > 0 && quick.status === 'ready' && !closed) {
        batch.push(...[...unsent].slice(0, BATCH));
        for (const [field] of batch) unsent.delete(field);
        const pairs = batch.flatMap(([field, text]) => [field, JSON.stringify(text ?? null)]);
        // It may come before the answer.
        if (callOffEcho === undefined) isHeard = false;
        await quick.eval(POST, 1, key, KEPT_MS, ...pairs);
        batch.length = 0;
        if (!closed) callOffEcho ??= timers.wake(missEcho, AGAIN_MS);
      }
    } catch (thrown) {
      // Later ones have overtaken it.
      for (const [field, text] of batch) if (!unsent.has(field)) unsent.set(field, text);
      onTrouble(thrown);
    } finally {
      sending = false;
    }
  };

  /** Whoever has the password of Redis may write anything: what is no notice is passed over. */
  const hear = (field: string, message: string): void => {
    const text = parseAny(message);
    if (typeof text !== 'string' && text !== null) return;
    // Ours, still to be sent, is newer.
    if (!unsent.has(field)) board.tell(field, text ?? undefined);
  };

  const readAll = async (): Promise<void> => {
    const told = new Set<string>();
    fresher = told;
    try {
      const standing = await quick.hgetall(key);
      for (const [field, message] of Object.entries(standing)) if (!told.has(field)) hear(field, message);
    } catch (thrown) {
      onTrouble(thrown);
    } finally {
      fresher = undefined;
    }
  };

  const refresh = createShared(async (): Promise<void> => {
    if (quick.status !== 'ready' || closed) return;
    await readAll();
    await flush();
  });

  /** Each connection hears of nothing until it has said so. */
  const listen = async (): Promise<void> => {
    callOff();
    listening = true;
    try {
      await subscriber.subscribe(key);
    } catch (thrown) {
      if (closed) return;
      onTrouble(thrown);
      // A right that is missing may be given, and the connection stays.
      callOff = timers.wake(() => void listen(), AGAIN_MS);
    } finally {
      listening = false;
    }
    await refresh();
  };

  const missEcho = (): void => {
    callOffEcho = undefined;
    if (closed || listening || isHeard || subscriber.status !== 'ready') return;
    void listen();
  };

  subscriber.on('message', (_, data) => {
    const told = parseAny(data);
    const [field, message, number] = Array.isArray(told) ? (told as readonly unknown[]) : [];
    if (typeof field !== 'string' || typeof message !== 'string') return;
    isHeard = true;
    if (typeof number === 'number') {
      if (number !== lastHeard + 1 && lastHeard !== 0) void refresh();
      lastHeard = number;
    }
    fresher?.add(field);
    hear(field, message);
  });
  subscriber.on('ready', () => void listen());
  quick.on('ready', () => void refresh());

  return {
    post(field, text) {
      if (closed || !isSmall(field, text)) return;
      board.tell(field, text);
      unsent.delete(field);
      if (unsent.size < MOST_FIELDS) unsent.set(field, text);
      // Those of one moment go together.
      queueMicrotask(() => void flush());
    },
    subscribe: board.subscribe,
    close() {
      closed = true;
      callOff();
      callOffEcho?.();
    },
  };
}
