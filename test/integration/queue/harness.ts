import { randomUUID } from 'node:crypto';
import { SecretValue } from '../../../src/core/secret-value.ts';
import type { Queue } from '../../../src/queue/queue.ts';
import { createRedisQueue, type RedisQueueOptions } from '../../../src/queue/redis/bullmq.ts';

/** One instance's queue, as any of its processes opens it. */
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

/** An instance of its own on a Redis that others use too. */
export function ownInstance(): string {
  return `i-${randomUUID().slice(0, 8)}`;
}

/** What a queue has been, in order, as `state: detail`. */
export function healthsOf(queue: Queue): string[] {
  const seen = [shown(queue)];
  queue.onHealth(() => void seen.push(shown(queue)));
  return seen;
}

export function shown(queue: Queue): string {
  const { state, error } = queue.health();
  return error === undefined ? state : `${state}: ${error.detail}`;
}
