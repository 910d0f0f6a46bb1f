import { parseAny } from '../../core/json.ts';
import { createCoalescer } from '../../core/serial-executor.ts';
import type { Broadcast } from '../queue.ts';
import { createRetainedMessages, isWithinLimit, MAX_TOPICS } from '../retained-messages.ts';
import type { Timers } from '../timers.ts';
import type { RedisClients } from './clients.ts';

export interface RedisBroadcast extends Broadcast {
  close(): void;
}

/** Redis deletes the hash after this time without a message. */
const RETENTION_MS = 7 * 86_400_000;
const BATCH = 500;
/**
 * Interval of the subscription checks. It is shorter than the time for which the health check keeps reporting a refused
 * command, so a lasting refusal is reported without gaps.
 */
const RETRY_MS = 5_000;

/** The hash field that counts messages. Its value is a number, so subscribers ignore it. */
const SEQUENCE_FIELD = '#';

// ARGV contains the retention time, then pairs of topic and message. A message is JSON: a text, or null to delete the
// topic. Messages are numbered consecutively, so that subscribers detect a missed message.
const PUBLISH_SCRIPT = `
local number = tonumber(redis.call('HGET', KEYS[1], '${SEQUENCE_FIELD}') or '0') or 0
for i = 2, #ARGV, 2 do
  local field, message = ARGV[i], ARGV[i + 1]
  if message == 'null' then redis.call('HDEL', KEYS[1], field)
  elseif redis.call('HLEN', KEYS[1]) < ${MAX_TOPICS} or redis.call('HEXISTS', KEYS[1], field) == 1 then
    redis.call('HSET', KEYS[1], field, message)
  end
  number = number + 1
  redis.call('PUBLISH', KEYS[1], cjson.encode({field, message, number}))
end
redis.call('HSET', KEYS[1], '${SEQUENCE_FIELD}', number)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 0`;

/**
 * Stores the latest message of each topic in a Redis hash and publishes changes on a channel of the same name. The
 * client library may replace a subscriber connection without notice, for example in a cluster. The new connection may
 * lack permission to subscribe, also without notice.
 * Two checks detect this. A gap in the sequence numbers means that a message was missed. If the messages of this
 * process do not return through the channel, the subscription does not work.
 */
export function createRedisBroadcast(
  { quick, subscriber }: Pick<RedisClients, 'quick' | 'subscriber'>,
  key: string,
  { timers, onError }: { readonly timers: Timers; readonly onError: (thrown: unknown) => void },
): RedisBroadcast {
  const messages = createRetainedMessages();
  const unsent = new Map<string, string | undefined>();
  let sending = false;
  let closed = false;
  let cancelRetry = (): void => {};
  let lastSequence = 0;
  let hasEcho = false;
  let listening = false;
  let cancelEchoTimer: (() => void) | undefined;
  /**
   * Topics that changed while the hash was being read. For these topics, the value read from the hash may be outdated.
   */
  let updatedTopics: Set<string> | undefined;

  const flush = async (): Promise<void> => {
    if (sending || closed) return;
    sending = true;
    const batch: [string, string | undefined][] = [];
    try {
      while (unsent.size > 0 && quick.status === 'ready' && !closed) {
        batch.push(...[...unsent].slice(0, BATCH));
        for (const [topic] of batch) unsent.delete(topic);
        const pairs = batch.flatMap(([topic, text]) => [topic, JSON.stringify(text ?? null)]);
        // Reset the flag before publishing, because our own message may return before the reply to the command.
        if (cancelEchoTimer === undefined) hasEcho = false;
        await quick.eval(PUBLISH_SCRIPT, 1, key, RETENTION_MS, ...pairs);
        batch.length = 0;
        if (!closed) cancelEchoTimer ??= timers.wake(checkEcho, RETRY_MS);
      }
    } catch (thrown) {
      // Do not overwrite messages that were published meanwhile.
      for (const [topic, text] of batch) if (!unsent.has(topic)) unsent.set(topic, text);
      onError(thrown);
    } finally {
      sending = false;
    }
  };

  /** Ignores malformed messages, because anyone with the Redis password can write to the channel. */
  const receive = (topic: string, message: string): void => {
    const text = parseAny(message);
    if (typeof text !== 'string' && text !== null) return;
    // If this process has a newer message for the topic that is not sent yet, ignore the received one.
    if (!unsent.has(topic)) messages.set(topic, text ?? undefined);
  };

  const readAll = async (): Promise<void> => {
    const updated = new Set<string>();
    updatedTopics = updated;
    try {
      const stored = await quick.hgetall(key);
      for (const [topic, message] of Object.entries(stored)) if (!updated.has(topic)) receive(topic, message);
    } catch (thrown) {
      onError(thrown);
    } finally {
      updatedTopics = undefined;
    }
  };

  const refresh = createCoalescer(async (): Promise<void> => {
    if (quick.status !== 'ready' || closed) return;
    await readAll();
    await flush();
  });

  /**
   * Subscribes, then reads the hash, because messages published before the subscription do not arrive through the
   * channel.
   */
  const listen = async (): Promise<void> => {
    cancelRetry();
    listening = true;
    try {
      await subscriber.subscribe(key);
    } catch (thrown) {
      if (closed) return;
      onError(thrown);
      // Retry, because a missing permission may be granted while the connection stays open.
      cancelRetry = timers.wake(() => void listen(), RETRY_MS);
    } finally {
      listening = false;
    }
    await refresh();
  };

  const checkEcho = (): void => {
    cancelEchoTimer = undefined;
    if (closed || listening || hasEcho || subscriber.status !== 'ready') return;
    void listen();
  };

  subscriber.on('message', (_, data) => {
    const parts = parseAny(data);
    const [topic, message, sequence] = Array.isArray(parts) ? (parts as readonly unknown[]) : [];
    if (typeof topic !== 'string' || typeof message !== 'string') return;
    hasEcho = true;
    if (typeof sequence === 'number') {
      if (sequence !== lastSequence + 1 && lastSequence !== 0) void refresh();
      lastSequence = sequence;
    }
    updatedTopics?.add(topic);
    receive(topic, message);
  });
  subscriber.on('ready', () => void listen());
  quick.on('ready', () => void refresh());

  return {
    publish(topic, text) {
      if (closed || !isWithinLimit(topic, text)) return;
      messages.set(topic, text);
      unsent.delete(topic);
      if (unsent.size < MAX_TOPICS) unsent.set(topic, text);
      // Send all messages of the current tick in one batch.
      queueMicrotask(() => void flush());
    },
    subscribe: messages.subscribe,
    close() {
      closed = true;
      cancelRetry();
      cancelEchoTimer?.();
    },
  };
}
