import { Configuration } from './configuration.ts';
import { Hints } from './events/hints.ts';
import { createLoops } from './liveness/loops.ts';
import { Orders } from './orders.ts';
import { Resync } from './resync.ts';
import type { ServiceParts } from './service-parts.ts';
import { StepJobs } from './step-jobs.ts';
import { SourceTable } from './sweep/source-table.ts';
import { SweepSchedule } from './sweep/sweep-schedule.ts';
import { createTargetStates } from './target-states.ts';
import { Triggers } from './triggers.ts';
import { UnresolvedFailures } from './unresolved-failures.ts';
import { Watches } from './watch/watches.ts';

/** The parts that notice changes and add jobs to the queue. */
export type TriggerParts = ReturnType<typeof createTriggerParts>;

/** Creates each part after the parts that it uses. */
export function createTriggerParts({
  runtime,
  ports,
  config,
  steps: { heldId, hasOpenFailure },
  replicas,
}: ServiceParts) {
  const { clock } = runtime;
  const { queue, cluster, stores } = ports;
  // Use a monotonic clock, because a jump of the wall clock is not a stall.
  const loops = createLoops({ now: () => performance.now() });
  // With a memory queue there is no other process to inform, and each serialized state costs memory.
  const broadcast = queue.kind === 'memory' ? undefined : queue.broadcast;
  const states = createTargetStates(broadcast, clock, heldId, replicas.configHashOf);
  const { steadyClock } = states;
  const configuration = new Configuration({ ...config, tellsVersions: stores.tellsVersions, steadyClock });
  const { snapshot } = configuration;
  const watches = new Watches({ ...runtime, cluster, scope: config.scope, loops });
  const sources = new SourceTable();
  const triggers = new Triggers({ ...runtime, queue, states });
  const steps = new StepJobs({ ...runtime, queue, restartWindowMs: config.restartWindowMs });
  const unresolved = new UnresolvedFailures({ states, isUnresolved: hasOpenFailure });
  const resync = new Resync({
    ...{ snapshot, states, sources, triggers, clock, instance: config.instance },
    storeHashes: stores.definitions,
    isListed: (id) => watches.isListed(id),
    onUnverified: (desired) => unresolved.add(desired),
    onHeldGone: () => steps.addDeletion(),
  });
  return {
    ...{ loops, states, configuration, watches, sources, triggers, steps, unresolved, resync },
    orders: new Orders({ triggers, clock }),
    hints: new Hints({ ...runtime, namesOf: stores.namesOf, states, resync, snapshot }),
    schedule: new SweepSchedule({ ...runtime, queue, snapshot }),
  };
}
