import type { Actor, AuditRecord } from '../audit/entry.ts';
import type { OnWrite } from '../cluster/cluster.ts';
import type { Clock } from '../core/clock.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { StoreObserver } from './stores.ts';

/** Names this process in records, traces and the status. */
interface ProcessIdentity {
  readonly actor: Actor;
  /** An id that is unique to this process. */
  readonly replica: string;
  readonly version: string;
}

/** What the process gives to each command. */
export interface AppDeps extends ProcessIdentity {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called for each credential that is read, so that the log can redact it. */
  readonly onCredential: (value: SecretValue) => void;
  /**
   * Prints a line for checkpoints of kind `stdout`. Prints it to stderr if the result of a command is printed to
   * stdout.
   */
  readonly print: (line: string) => void;
}

export interface AppOptions {
  /** For one-shot commands. After an abort, they do not wait for a login that hangs. */
  readonly stop?: AbortSignal | undefined;
  /** For long-lived processes: how long a value that was read may be used and kept. */
  readonly maxReadAgeMs?: number;
  /** Called when signed records disappear from the audit log while it is open. */
  readonly onAuditLoss?: () => void;
  readonly observe?: AppObserver;
}

/** Observes requests to other systems, for the metrics of a service. */
export interface AppObserver extends StoreObserver {
  /** Called for each request that changes the cluster. */
  onClusterWrite: OnWrite;
  /** Called when records of this process are durably stored. */
  onRecords(records: readonly AuditRecord[]): void;
}
