import type { App } from '../app/app.ts';
import { sleepUntilAborted } from '../core/timer.ts';
import type { IsRestartConfigured } from '../restart/cycle.ts';
import type { FailedRestart } from '../restart/failures.ts';
import { createRestarts } from '../restart/restarts.ts';
import { formatWorkload } from '../sync/restart.ts';

const NEVER = new AbortController().signal;

/**
 * The maximum wait before a restart. If a restart has to wait longer, it stays recorded as pending, and the service or
 * the next run carries it out.
 */
const MAX_WAIT_MS = 5_000;

/**
 * Returns a function that checks whether a restart is still configured. Restarts of a removed mapping count as
 * configured, and so do the workloads that a selector may have chosen.
 */
export function isRestartConfigured(app: Pick<App, 'config'>): IsRestartConfigured {
  return (name, workload) => {
    const mapping = app.config.mappings.find((candidate) => candidate.name === name);
    return (
      mapping?.restart.some(
        (configured) =>
          formatWorkload(configured) === workload ||
          (configured.selector !== undefined && workload.startsWith(`${configured.kind}/`)),
      ) ?? true
    );
  };
}

/**
 * Carries out the pending restarts at the end of a one-shot run, including pending restarts of earlier runs. Only a few
 * workloads restart at the same time. After an abort, the remaining restarts stay recorded as pending. Returns the
 * failed restarts.
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
    const { nextMs } = await restarts.run({ windowMs: 0, atOnce, signal });
    if (nextMs === undefined || nextMs > MAX_WAIT_MS) break;
    await sleepUntilAborted(nextMs, signal);
  }
  return [...failures.values()];
}
