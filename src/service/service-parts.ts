import type { Actor } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Clock } from '../core/clock.ts';
import type { Mapping } from '../core/mapping.ts';
import type { Tracer } from '../core/tracer.ts';
import type { StartTimer } from '../core/timer.ts';
import type { Logger } from '../log/logger.ts';
import type { Queue } from '../queue/queue.ts';
import type { Outcome } from '../reconcile/outcome.ts';
import type { RecoverDeps } from '../reconcile/recover.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import type { TargetState } from './target-state.ts';
import type { DeletionStepDeps } from './deletion/deletion-step.ts';
import type { SyncContext } from './runs/sync-context.ts';
import type { TargetRunnerDeps } from './runs/target-runner.ts';
import type { StaleFailuresDeps } from './stale-failures.ts';

/** What the service is made of; the composition root builds these. */
export interface ServiceParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tracer?: Tracer;
  readonly random: () => number;
  /** Left out: by the system's timers. */
  readonly wake?: StartTimer;
  readonly instance: string;
  readonly queue: Queue;
  readonly cluster: Cluster;
  readonly audit: AuditStore;
  readonly scope: 'namespace' | 'names';
  /** Targets of one set of stores that are worked on at a time. */
  readonly concurrency: number;
  readonly restartWindowMs: () => number;
  readonly mappings: () => readonly Mapping[];
  /** The targets in the namespaces that there are now. */
  readonly resolve: () => Promise<readonly DesiredTarget[]>;
  readonly stores: StoreParts;
  readonly openContext: (request: { requestId: string; actor: Actor }) => Promise<SyncContext>;
  /** The one destroying step, for what these have proposed and for what left the configuration. */
  readonly destroy: DeletionStepDeps['destroy'];
  /** Rolls the workloads that wait for it; gives when to look again. */
  readonly restart: () => Promise<number | undefined>;
  /** Intents that a crash left open. */
  readonly recover: (onNotMade?: RecoverDeps['onNotApplied']) => Promise<number>;
  /** Whether the last word on record about a target is that something was wrong. Left out: of none. */
  readonly hasOpenFailure?: StaleFailuresDeps['hasOpenFailure'] | undefined;
  /** What a run of a mapping goes by: replicas may have other configurations. Left out: all have the same. */
  readonly configHashOf?: ((mapping: string) => string | undefined) | undefined;
  readonly isBehind?: TargetRunnerDeps['isBehind'];
  /** Stays the same while what is held does. */
  readonly heldId: (held: TargetState) => string;
  readonly onOutcome: (outcome: Outcome, seconds: number) => void;
  /** So many bytes of large values were taken from a store for a target. */
  readonly onLargeValues?: ((bytes: number) => void) | undefined;
  readonly onCycle: () => void;
  /** Whether all replicas work by the same configuration. */
  readonly replicasAgree: () => boolean;
}

/** What it must know of the stores. */
export interface StoreParts {
  readonly definitions: () => ReadonlyMap<string, string>;
  readonly tellsVersions: (store: string) => boolean;
  readonly isDown: (store: string) => boolean;
  /** Told of each request to a store that has ended, well or not. */
  readonly onAnswer: (listener: (store: string) => void) => void;
  /** All the names by which an event may speak of a store's key. */
  readonly namesOf: (store: string, key: string) => readonly string[];
}
