import type { MovableAudit } from '../audit/move/movable-audit.ts';
import type { Clock } from '../core/clock.ts';
import { SecretValue } from '../core/secret-value.ts';

export interface AuditLocationOptions {
  readonly clock: Clock;
  readonly replica: string;
  readonly readOnly: boolean;
  /**
   * The environment with `PGPASSWORD`, which is used if the URL has no password. A password in an argument would be
   * visible to other users of the machine.
   */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Opens an audit store by its path or its PostgreSQL URL, without a configuration. */
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

/** Adds the password to the URL, like the libpq tools (PostgreSQL, "Environment Variables"). */
export function addressOf(location: string, { PGPASSWORD }: AuditLocationOptions['env']): SecretValue {
  const url = URL.canParse(location) ? new URL(location) : undefined;
  if (url === undefined || url.password !== '' || !PGPASSWORD) return SecretValue.fromText(location);
  url.password = encodeURIComponent(PGPASSWORD);
  return SecretValue.fromText(url.href);
}
