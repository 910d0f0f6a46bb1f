import { noTracer } from '../core/tracer.ts';
import type { Job } from '../queue/queue.ts';
import { createAuditHealth } from './audit-health.ts';
import { DeletionStep } from './deletion/deletion-step.ts';
import { createNoteDeletion } from './deletion/note-deletion.ts';
import { notifyInput } from './notify-input.ts';
import { PinCheck } from './pin-check.ts';
import { ACTOR_OF, createActors } from './runs/actors.ts';
import { demoteManualRetries } from './runs/manual-retries.ts';
import { withPrefetch } from './runs/prefetch.ts';
import { verifyRequester } from './runs/requesters.ts';
import { createSyncContexts } from './runs/sync-contexts.ts';
import { TargetRunner } from './runs/target-runner.ts';
import type { ServiceParts } from './service-parts.ts';
import { SourceAges } from './sweep/source-ages.ts';
import { createSweep } from './sweep/sweep.ts';
import { createSweepRecord } from './sweep/sweep-record.ts';
import type { TriggerParts } from './trigger-parts.ts';
import type { Watches } from './watch/watches.ts';
import { Worker } from './worker.ts';

/** The parts that run the jobs of the queue. */
export type WorkerParts = ReturnType<typeof createWorkerParts>;

/** Creates each part after the parts that it uses. */
export function createWorkerParts(parts: ServiceParts, triggerParts: TriggerParts) {
  const { runtime, ports, config, replicas, metrics } = parts;
  const { audit, cluster, queue, stores } = ports;
  const { clock, logger, tracer = noTracer } = runtime;
  const { openContext, destroy, restart, notify } = parts.steps;
  const { replicasAgree, isBehind } = replicas;
  const { configuration, states, sources, steps, triggers, resync, loops, orders } = triggerParts;
  const { snapshot } = configuration;
  const ages = new SourceAges({ clock, logger });
  const auditHealth = createAuditHealth({ clock, logger });
  const sweepRecord = createSweepRecord({ openContext, auditHealth });
  const contexts = createSyncContexts(clock, contextOpener(parts, triggerParts));

  const noteDeletion = createNoteDeletion({ states, triggers, clock, logger, snapshot, steps });
  const deletion = new DeletionStep({
    ...{ states, snapshot, clock, logger, tracer, contexts, triggers, steps },
    ...{ cluster, destroy, replicasAgree },
    onOutcome: noteDeletion,
  });
  const pins = new PinCheck({ audit, snapshot, states, clock });
  const sweep = createSweep({
    ...{ snapshot, states, sources, resync, clock, ages },
    findPins: () => pins.find(),
    tellsVersions: stores.tellsVersions,
    isDown: stores.isDown,
  });
  const runner = new TargetRunner({
    ...{ ...runtime, ...metrics, audit, isBehind },
    ...{ configuration, states, triggers, contexts, ages, steps },
    onOrphan: () => deletion.requestOrphanCheck(),
  });
  const work = {
    target: demoteManualRetries(
      verifyRequester((...run) => runner.run(...run), { audit, clock, orders, snapshot }),
      queue,
    ),
    sweep,
    deletion,
    restart,
    notify: (channel: string, signal: AbortSignal) =>
      notify(channel, notifyInput({ snapshot, states, ages, clock }), signal),
  };
  const worker = new Worker({
    ...{ ...runtime, ...metrics, stores },
    limits: { concurrency: config.concurrency, maxJobs: queue.concurrency },
    ...{ work, snapshot, contexts, loops, auditHealth, sweepRecord },
  });
  return { ages, auditHealth, sweepRecord, contexts, noteDeletion, deletion, worker };
}

/** Returns a function that opens the context of a request. */
function contextOpener(
  { ports: { audit }, steps: { openContext } }: ServiceParts,
  { configuration, hints, triggers, states, watches }: TriggerParts,
) {
  const { snapshot } = configuration;
  const actorOf = createActors(audit, hints.intakeOf);
  const isListed: Watches['isListed'] = (id) => watches.isListed(id);
  return async ({ requestId, reason }: Pick<Job, 'requestId' | 'reason'>) => {
    const actor = await actorOf(requestId, ACTOR_OF[reason]);
    await configuration.whenCurrent();
    const context = await openContext({ requestId, actor });
    return withPrefetch(context, { triggers, snapshot, states, isListed });
  };
}
