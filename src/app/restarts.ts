import { systemSleep } from '../providers/timing.ts';
import { createRestarts } from '../restart/restarts.ts';
import type { App } from './app.ts';

/** A longer wait means that it cannot be done now; what is left is on record, for the service or the next run. */
const PATIENCE_MS = 5_000;

/**
 * Rolls the workloads that wait after a one-shot run, those that an earlier one left too, a few at a time, until none
 * waits.
 */
export async function finishRestarts(
  { audit, cluster, clock, instances, tracing, config }: App,
  signal?: AbortSignal,
): Promise<void> {
  if (cluster.workloads === undefined) return;
  const { tracer } = tracing;
  const restarts = createRestarts({ audit, workloads: cluster.workloads, instances, clock, tracer });
  const { atOnce } = config.restarts;
  while (!signal?.aborted) {
    const { nextMs } = await restarts.run({
      windowMs: 0,
      atOnce,
      ...(signal === undefined ? {} : { signal }),
    });
    if (nextMs === undefined || nextMs > PATIENCE_MS) return;
    await systemSleep(nextMs, signal);
  }
}
