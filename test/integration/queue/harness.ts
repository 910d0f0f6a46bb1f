import { randomUUID } from 'node:crypto';
import { createConnection } from 'node:net';
import { SecretValue } from '../../../src/core/secret-value.ts';
import { type BullQueueOptions, createBullQueue } from '../../../src/queue/bullmq.ts';
import { connectRedis } from '../../../src/queue/connect-redis.ts';
import type { Queue } from '../../../src/queue/queue.ts';
import type { RedisAddress } from '../../../src/queue/redis-address.ts';
import { eventually } from '../../conformance/queue.ts';
import type { RedisServer } from '../services/redis.ts';

export interface OpenOptions extends Partial<RedisAddress & BullQueueOptions> {
  readonly instance?: string;
}

/** Opens the queue of one instance, as a new process would. */
export async function openQueue(
  url: string,
  { instance = 'test', concurrency = 4, clock, ...address }: OpenOptions = {},
): Promise<Queue> {
  const prefix = `{secretbridge:${instance}}`;
  const server = await connectRedis({ url: SecretValue.fromText(url), cluster: false, ...address }, prefix);
  return createBullQueue(server, { concurrency, ...(clock === undefined ? {} : { clock }) });
}

/** Returns a new instance name. Tests share a Redis, so each test needs a separate instance. */
export function newInstance(): string {
  return `i-${randomUUID().slice(0, 8)}`;
}

/** Records the health states of a queue in order, as `state: detail`. */
export function recordHealth(queue: Queue): string[] {
  const states = [healthText(queue)];
  queue.onHealth(() => void states.push(healthText(queue)));
  return states;
}

export function healthText(queue: Queue): string {
  const { state, error } = queue.health();
  return error === undefined ? state : `${state}: ${error.detail}`;
}

/** Everything that a Redis receives and contains. */
export interface RedisContents extends Disposable {
  /** The current names and dumps of all keys, and all commands up to now. */
  read(): Promise<{ readonly names: readonly string[]; readonly text: string }>;
}

/** Records every command that the Redis receives from now on. */
export async function recordRedis(server: RedisServer): Promise<RedisContents> {
  const commands: string[] = [];
  const monitor = createConnection({ port: server.port, host: '127.0.0.1' });
  monitor.on('data', (data) => void commands.push(data.toString('utf8')));
  monitor.write('MONITOR\r\n');
  await eventually(() => commands.length > 0);
  return {
    async read() {
      const answer = await server.command('KEYS', '*');
      const names = answer.split('\r\n').filter((line) => line !== '' && !/^[*$]\d/.test(line));
      const dumps = await Promise.all(names.map((name) => server.command('DUMP', name)));
      return { names, text: [...names, ...dumps, ...commands].join('\n') };
    },
    [Symbol.dispose]: () => void monitor.destroy(),
  };
}
