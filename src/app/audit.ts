import type { MovableAudit } from '../audit/move/movable-audit.ts';
import type { RecordKeys } from '../audit/record-keys.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../core/clock.ts';
import { SecretValue } from '../core/secret-value.ts';
import type { ReadCredential } from '../providers/credentials.ts';

interface AuditDeps {
  readonly clock: Clock;
  readonly replica: string;
  /** Reads the URL of the PostgreSQL server, which is a credential. Called for each connection. */
  readonly credential: ReadCredential;
  /** Signs new records. */
  readonly keys?: Pick<RecordKeys, 'sign'> | undefined;
}

/** Opens the configured audit store for writing. */
export function openAudit(
  { audit: { store }, instance }: Pick<Config, 'audit' | 'instance'>,
  deps: AuditDeps & { readonly keys: Pick<RecordKeys, 'sign'> },
): Promise<AuditStore> {
  return open(store, instance, false, deps);
}

/** Opens an audit store for queries. Creates and changes nothing, so read access is enough. */
export function openAuditReader(
  store: Config['audit']['store'],
  clock: Clock,
  credential: ReadCredential,
): Promise<AuditStore> {
  return open(store, '', true, { clock, replica: 'reader', credential });
}

async function open(
  store: Config['audit']['store'],
  instance: string,
  readOnly: boolean,
  { clock, replica, credential, keys }: AuditDeps,
): Promise<AuditStore> {
  const common = { instance, replica, clock, readOnly, keys };
  // Load a driver only if it is needed.
  if (store.kind === 'sqlite') {
    const { openSqliteAudit } = await import('../audit/sqlite/sqlite.ts');
    return openSqliteAudit({ ...common, path: store.path });
  }
  const { openPostgresAudit } = await import('../audit/postgres/postgres.ts');
  return openPostgresAudit({ ...common, url: () => credential(store.url), tls: store.tls });
}

export interface AuditLocationOptions {
  readonly clock: Clock;
  readonly replica: string;
  readonly readOnly: boolean;
  /**
   * The environment variables. If the URL has no password, `PGPASSWORD` provides it. A password in a command line
   * argument would be visible to other users of the machine.
   */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Opens an audit store that is given by its path or its PostgreSQL URL. Needs no configuration. */
export async function openAuditAt(
  location: string,
  { env, ...options }: AuditLocationOptions,
): Promise<MovableAudit> {
  const common = { ...options, instance: '' };
  // Load a driver only if it is needed.
  if (!isPostgres(location)) {
    const { openSqliteAudit } = await import('../audit/sqlite/sqlite.ts');
    return openSqliteAudit({ ...common, path: location });
  }
  const { openPostgresAudit } = await import('../audit/postgres/postgres.ts');
  return openPostgresAudit({ ...common, url: async () => addressOf(location, env) });
}

export function isPostgres(location: string): boolean {
  return /^postgres(ql)?:\/\//i.test(location);
}

/**
 * Adds the password in `PGPASSWORD` to a URL without a password. The tools of PostgreSQL read the same variable
 * (PostgreSQL documentation, "Environment Variables").
 */
export function addressOf(location: string, { PGPASSWORD }: AuditLocationOptions['env']): SecretValue {
  const url = URL.canParse(location) ? new URL(location) : undefined;
  if (url === undefined || url.password !== '' || !PGPASSWORD) return SecretValue.fromText(location);
  url.password = encodeURIComponent(PGPASSWORD);
  return SecretValue.fromText(url.href);
}
