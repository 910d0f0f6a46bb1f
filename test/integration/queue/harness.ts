import { randomUUID } from 'node:crypto';
import { SecretValue } from '../../../src/core/secret-value.ts';
import type { Queue } from '../../../src/queue/queue.ts';
import { createRedisQueue, type RedisQueueOptions } from '../../../src/queue/redis/bullmq.ts';

/** Opens the queue of one instance, like each of its processes does. */
export function openQueue(url: string, options: Partial<RedisQueueOptions> = {}): Promise<Queue> {
  return createRedisQueue({
    url: SecretValue.fromText(url),
    prefix: 'secretbridge',
    instance: 'test',
    concurrency: 4,
    cluster: false,
    ...options,
  });
}

/** A new instance name on a shared Redis. */
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
