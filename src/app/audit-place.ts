import type { MovableAudit } from '../audit/moving.ts';
import { openSqliteAudit } from '../audit/sqlite.ts';
import type { Clock } from '../core/clock.ts';
import { SecretValue } from '../core/secret-value.ts';

export interface PlaceOptions {
  readonly clock: Clock;
  readonly replica: string;
  readonly readOnly: boolean;
}

/** An audit store by its path or its address on PostgreSQL, without a configuration. */
export async function openAuditAt(place: string, options: PlaceOptions): Promise<MovableAudit> {
  const common = { ...options, instance: '' };
  if (!/^postgres(ql)?:\/\//.test(place)) return openSqliteAudit({ ...common, path: place });
  // Its driver is loaded only where there is something to drive.
  const { openPostgresAudit } = await import('../audit/postgres.ts');
  return openPostgresAudit({ ...common, url: async () => SecretValue.fromText(place) });
}
