import type { Actor } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Clock } from '../core/clock.ts';
import type { Mapping } from '../core/mapping.ts';
import type { TargetId } from '../core/target.ts';
import type { StartTimer } from '../core/timer.ts';
import type { Tracer } from '../core/tracer.ts';
import type { Queue } from '../queue/queue.ts';
import type { SyncContext } from '../reconcile/context.ts';
import type { Outcome } from '../reconcile/outcome.ts';
import type { RecoverDeps } from '../reconcile/recover.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { DeletionStepDeps } from './deletion/deletion-step.ts';
import type { NotifyInput } from './notify-input.ts';
import type { TargetState } from './target-state.ts';

/** The dependencies of the service, created by the composition root. */
export interface ServiceParts {
  readonly runtime: Runtime;
  readonly ports: Ports;
  readonly config: ConfigParts;
  readonly steps: Steps;
  /** What this replica knows of the configuration of all replicas. */
  readonly replicas: ReplicaParts;
  readonly metrics: MetricParts;
}

/** What every part of the service may use. */
export interface Runtime {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tracer?: Tracer;
  readonly random: () => number;
  /** Starts a timer. Default: system timers. */
  readonly wake?: StartTimer;
}

interface Ports {
  readonly queue: Queue;
  readonly cluster: Cluster;
  readonly audit: AuditStore;
  readonly stores: StoreParts;
}

export interface ConfigParts {
  readonly instance: string;
  readonly scope: 'namespace' | 'names';
  /** Maximum concurrent runs for targets with the same set of stores. */
  readonly concurrency: number;
  readonly restartWindowMs: () => number;
  /** The names of the channels of notifications. */
  readonly channels: () => readonly string[];
  readonly mappings: () => readonly Mapping[];
  /** Resolves the targets in the namespaces that exist now. */
  readonly resolve: () => Promise<readonly DesiredTarget[]>;
}

/** The steps that the composition root connects with the audit, the cluster and the stores. */
interface Steps {
  readonly openContext: (request: { requestId: string; actor: Actor }) => Promise<SyncContext>;
  /** Runs the deletion step for proposed deletions and orphans. */
  readonly destroy: DeletionStepDeps['destroy'];
  /** Restarts pending workloads. Returns the delay until the next check. */
  readonly restart: (signal: AbortSignal) => Promise<number | undefined>;
  /** Sends the messages of a channel. Returns the delay until the next attempt after a failure. */
  readonly notify: (channel: string, known: NotifyInput, signal: AbortSignal) => Promise<number | undefined>;
  /** Carries out approved actions that a crash has interrupted. */
  readonly resumeApproved: () => Promise<void>;
  /** Resolves intents without an outcome. */
  readonly recover: (onNotMade?: RecoverDeps['onNotApplied']) => Promise<number>;
  /** Whether the latest record of a target is a failure. */
  readonly hasOpenFailure: (mapping: string, target: TargetId) => Promise<boolean>;
  /** Returns the id of a held change, which stays the same while the change is the same. */
  readonly heldId: (held: TargetState) => string;
}

export interface ReplicaParts {
  /** Whether all replicas use the same configuration. */
  readonly replicasAgree: () => boolean;
  /**
   * Hash of the configuration that a mapping's runs use in this replica. Without this function, all replicas are
   * assumed to have the same configuration.
   */
  readonly configHashOf?: ((mapping: string) => string | undefined) | undefined;
  /**
   * Whether the newest configuration is invalid in this replica, while other replicas may use it. Default: false.
   */
  readonly isBehind?: (() => boolean) | undefined;
}

export interface MetricParts {
  readonly onOutcome: (outcome: Outcome, seconds: number) => void;
  /** Called with the size of large values that a run has read. */
  readonly onLargeValues?: ((bytes: number) => void) | undefined;
  /** Called when a sweep has ended. */
  readonly onCycle: () => void;
}

/** The part of the stores that the service uses. */
export interface StoreParts {
  readonly definitions: () => ReadonlyMap<string, string>;
  readonly tellsVersions: (store: string) => boolean;
  readonly isDown: (store: string) => boolean;
  /** Registers a listener for each finished request to a store, successful or not. */
  readonly onAnswer: (listener: (store: string) => void) => void;
  /** Returns all names that an event may use for a key of a store. */
  readonly namesOf: (store: string, key: string) => readonly string[];
}
