import type { Actor } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Clock } from '../core/clock.ts';
import type { Mapping } from '../core/mapping.ts';
import type { Tracer } from '../core/tracer.ts';
import type { Wake } from '../core/wake.ts';
import type { Logger } from '../log/logger.ts';
import type { Queue } from '../queue/queue.ts';
import type { Outcome } from '../reconcile/outcome.ts';
import type { RecoverDeps } from '../reconcile/recover.ts';
import type { Wanted } from '../reconcile/targets.ts';
import type { Known } from './known.ts';
import type { DestroyingDeps } from './leaving/destroying.ts';
import type { Pass } from './runs/pass.ts';
import type { WorkDeps } from './runs/work.ts';
import type { UnendedDeps } from './unended.ts';

/** What the service is made of; the composition root builds these. */
export interface ServiceParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tracer?: Tracer;
  readonly random: () => number;
  /** Left out: by the system's timers. */
  readonly wake?: Wake;
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
  readonly resolve: () => Promise<readonly Wanted[]>;
  readonly stores: StoreParts;
  readonly beginPass: (request: { requestId: string; actor: Actor }) => Promise<Pass>;
  /** The one destroying step, for what these have proposed and for what left the configuration. */
  readonly destroy: DestroyingDeps['destroy'];
  /** Rolls the workloads that wait for it; gives when to look again. */
  readonly restart: () => Promise<number | undefined>;
  /** Intents that a crash left open. */
  readonly recover: (onNotMade?: RecoverDeps['onNotMade']) => Promise<number>;
  /** Whether the last word on record about a target is that something was wrong. Left out: of none. */
  readonly isUnended?: UnendedDeps['isUnended'] | undefined;
  /** What a run of a mapping goes by: replicas may have other configurations. Left out: all have the same. */
  readonly runsBy?: ((mapping: string) => string | undefined) | undefined;
  readonly isBehind?: WorkDeps['isBehind'];
  /** Stays the same while what is held does. */
  readonly heldId: (held: Known) => string;
  readonly onOutcome: (outcome: Outcome, seconds: number) => void;
  /** So many bytes of large values were taken from a store for a target. */
  readonly onLarge?: ((bytes: number) => void) | undefined;
  readonly onCycle: () => void;
  /** Whether all replicas work by the same configuration. */
  readonly agrees: () => boolean;
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
