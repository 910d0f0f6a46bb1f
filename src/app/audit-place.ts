import type { MovableAudit } from '../audit/move/moving.ts';
import { openSqliteAudit } from '../audit/sqlite/sqlite.ts';
import type { Clock } from '../core/clock.ts';
import { SecretValue } from '../core/secret-value.ts';

export interface PlaceOptions {
  readonly clock: Clock;
  readonly replica: string;
  readonly readOnly: boolean;
  /** `PGPASSWORD` is taken where the address has none: an argument can be seen by everybody on the machine. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** An audit store by its path or its address on PostgreSQL, without a configuration. */
export async function openAuditAt(place: string, { env, ...options }: PlaceOptions): Promise<MovableAudit> {
  const common = { ...options, instance: '' };
  if (!isPostgres(place)) return openSqliteAudit({ ...common, path: place });
  // Its driver is loaded only where there is something to drive.
  const { openPostgresAudit } = await import('../audit/postgres/postgres.ts');
  return openPostgresAudit({ ...common, url: async () => addressOf(place, env) });
}

export function isPostgres(place: string): boolean {
  return /^postgres(ql)?:\/\//i.test(place);
}

/** The address with its password, as libpq's tools take it (PostgreSQL, "Environment Variables"). */
export function addressOf(place: string, { PGPASSWORD }: PlaceOptions['env']): SecretValue {
  const url = URL.canParse(place) ? new URL(place) : undefined;
  if (url === undefined || url.password !== '' || !PGPASSWORD) return SecretValue.fromText(place);
  url.password = encodeURIComponent(PGPASSWORD);
  return SecretValue.fromText(url.href);
}
