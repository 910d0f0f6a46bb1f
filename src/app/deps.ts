import type { Actor, AuditRecord } from '../audit/entry.ts';
import type { OnWrite } from '../cluster/cluster.ts';
import type { Clock } from '../core/clock.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { StoreObserver } from './stores.ts';

/** Identifies this process in records, traces and the status. */
interface ProcessIdentity {
  readonly actor: Actor;
  /** An id that is unique to this process. */
  readonly replica: string;
  readonly version: string;
}

/** The dependencies that the process passes to each command. */
export interface AppDeps extends ProcessIdentity {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called for each credential that is read, so that the log can redact the credential. */
  readonly onCredential: (value: SecretValue) => void;
  /**
   * Prints a line for checkpoint locations of kind `stdout`. If a command prints its result to stdout, this function
   * prints to stderr.
   */
  readonly print: (line: string) => void;
}

export interface AppOptions {
  /**
   * Aborted when the process ends. Soon after, reads are aborted, and nothing waits for a login that gets no answer.
   */
  readonly stop?: AbortSignal | undefined;
  /**
   * The maximum age of a value that was read. Only long-lived processes set it. Values above this age are neither used
   * nor kept in memory.
   */
  readonly maxReadAgeMs?: number;
  /** Called when records that a checkpoint covers disappear from the audit log while the log is open. */
  readonly onAuditLoss?: () => void;
  readonly observe?: AppObserver;
}

/** Observes requests to other systems. A service counts them in its metrics. */
export interface AppObserver extends StoreObserver {
  /** Called for each request that changes the cluster. */
  onClusterWrite: OnWrite;
  /** Called when records of this process are durably stored. */
  onRecords(records: readonly AuditRecord[]): void;
}
