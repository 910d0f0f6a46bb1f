import type { Config } from '../../config/config.ts';
import type { Clock } from '../../core/clock.ts';
import type { ReadCredential } from '../../providers/credentials.ts';
import { createMemoryQueue } from '../../queue/memory.ts';
import type { Queue } from '../../queue/queue.ts';
import type { Logger } from '../../telemetry/logger.ts';

export interface QueueDeps {
  readonly credential: ReadCredential;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * The queue runs more jobs at the same time than `engine.concurrency`, which limits the targets of each set of stores.
 * So if a store hangs, the jobs that wait for it do not block jobs for other stores.
 */
const JOBS_PER_TARGET_SLOT = 8;
const MAX_JOBS = 256;

export async function openQueue({ engine, instance }: Config, deps: QueueDeps): Promise<Queue> {
  const concurrency = Math.max(
    engine.concurrency,
    Math.min(MAX_JOBS, engine.concurrency * JOBS_PER_TARGET_SLOT),
  );
  if (engine.kind === 'memory') return createMemoryQueue({ concurrency });
  const { connectRedis } = await import('../../queue/connect-redis.ts');
  const { createBullQueue } = await import('../../queue/bullmq.ts');
  const { url, tls, sentinel, cluster } = engine;
  // The braces make Redis Cluster store all keys in one hash slot.
  const prefix = `{${engine.prefix}:${instance}}`;
  const address = {
    url: await deps.credential(url),
    tls,
    sentinel:
      sentinel === undefined
        ? undefined
        : {
            ...sentinel,
            password: sentinel.password === undefined ? undefined : await deps.credential(sentinel.password),
          },
    cluster,
  };
  const { clock, logger } = deps;
  return createBullQueue(await connectRedis(address, prefix), { concurrency, clock, logger });
}
