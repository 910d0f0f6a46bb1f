import type { AuditStore } from '../audit/store.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../core/clock.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { Reference } from '../providers/credentials.ts';

export interface AuditDeps {
  readonly clock: Clock;
  readonly replica: string;
  /** Returns the current URL of the database server. Called for each connection. */
  readonly credential: (reference: Reference) => Promise<SecretValue>;
}

/** Opens the configured audit store for writing. */
export function openAudit(
  { audit: { store }, instance }: Pick<Config, 'audit' | 'instance'>,
  deps: AuditDeps,
): Promise<AuditStore> {
  return open(store, instance, false, deps);
}

/** Opens an audit store for queries. Creates and changes nothing, so read access is enough. */
export function openAuditReader(
  store: Config['audit']['store'],
  clock: Clock,
  credential: AuditDeps['credential'],
): Promise<AuditStore> {
  return open(store, '', true, { clock, replica: 'reader', credential });
}

async function open(
  store: Config['audit']['store'],
  instance: string,
  readOnly: boolean,
  { clock, replica, credential }: AuditDeps,
): Promise<AuditStore> {
  const common = { instance, replica, clock, readOnly };
  // Load a driver only if it is needed.
  if (store.kind === 'sqlite') {
    const { openSqliteAudit } = await import('../audit/sqlite/sqlite.ts');
    return openSqliteAudit({ ...common, path: store.path });
  }
  const { openPostgresAudit } = await import('../audit/postgres/postgres.ts');
  return openPostgresAudit({ ...common, url: () => credential(store.url), tls: store.tls });
}
