import type { MovableAudit } from '../audit/move/movable-audit.ts';
import { openSqliteAudit } from '../audit/sqlite/sqlite.ts';
import type { Clock } from '../core/clock.ts';
import { SecretValue } from '../core/secret-value.ts';

export interface AuditLocationOptions {
  readonly clock: Clock;
  readonly replica: string;
  readonly readOnly: boolean;
  /** `PGPASSWORD` is taken where the address has none: an argument can be seen by everybody on the machine. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** An audit store by its path or its address on PostgreSQL, without a configuration. */
export async function openAuditAt(
  location: string,
  { env, ...options }: AuditLocationOptions,
): Promise<MovableAudit> {
  const common = { ...options, instance: '' };
  if (!isPostgres(location)) return openSqliteAudit({ ...common, path: location });
  // Its driver is loaded only where there is something to drive.
  const { openPostgresAudit } = await import('../audit/postgres/postgres.ts');
  return openPostgresAudit({ ...common, url: async () => addressOf(location, env) });
}

export function isPostgres(location: string): boolean {
  return /^postgres(ql)?:\/\//i.test(location);
}

/** The address with its password, as libpq's tools take it (PostgreSQL, "Environment Variables"). */
export function addressOf(location: string, { PGPASSWORD }: AuditLocationOptions['env']): SecretValue {
  const url = URL.canParse(location) ? new URL(location) : undefined;
  if (url === undefined || url.password !== '' || !PGPASSWORD) return SecretValue.fromText(location);
  url.password = encodeURIComponent(PGPASSWORD);
  return SecretValue.fromText(url.href);
}
