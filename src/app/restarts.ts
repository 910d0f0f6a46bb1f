import { sleepUntilAborted } from '../core/sleep.ts';
import type { FailedRestart } from '../restart/failures.ts';
import type { IsRestartConfigured } from '../restart/cycle.ts';
import { createRestarts } from '../restart/restarts.ts';
import { formatWorkload } from '../sync/restart.ts';
import type { App } from './app.ts';

const NEVER = new AbortController().signal;

/** A longer wait means that it cannot be done now; what is left is on record, for the service or the next run. */
const MAX_WAIT_MS = 5_000;

/** By the configuration in force. What a renamed mapping has left is still to be made, whoever wants its Secret now. */
export function isRestartConfigured(app: Pick<App, 'config'>): IsRestartConfigured {
  return (name, workload) => {
    const mapping = app.config.mappings.find((it) => it.name === name);
    return mapping?.restart.some((it) => formatWorkload(it) === workload) ?? true;
  };
}

/**
 * Rolls the workloads that wait after a one-shot run, those that an earlier one left too, a few at a time, until none
 * waits. Whoever ends it leaves the rest on record. Gives those that could not be made.
 */
export async function runPendingRestarts(
  app: App,
  signal: AbortSignal = NEVER,
): Promise<readonly FailedRestart[]> {
  const { audit, clock, instances, tracing, config } = app;
  const { workloads } = app.cluster;
  if (workloads === undefined) return [];
  const { tracer } = tracing;
  const failures = new Map<string, FailedRestart>();
  const onFailure = (failedRestart: FailedRestart): void => {
    const { namespace, workload, mapping, secret } = failedRestart;
    failures.set(JSON.stringify([namespace, workload, mapping, secret]), failedRestart);
  };
  const isWanted = isRestartConfigured(app);
  const restarts = createRestarts({
    audit,
    workloads,
    instances,
    clock,
    tracer,
    onFailure,
    isConfigured: isWanted,
  });
  const { atOnce } = config.restarts;
  while (!signal.aborted) {
    const { nextMs } = await restarts.run({ windowMs: 0, atOnce: atOnce, signal });
    if (nextMs === undefined || nextMs > MAX_WAIT_MS) break;
    await sleepUntilAborted(nextMs, signal);
  }
  return [...failures.values()];
}
