import { openSqliteAudit } from '../audit/sqlite.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';

/** The audit store of a configuration, for writing. */
export async function openAudit(
  { audit: { store }, instance }: Pick<Config, 'audit' | 'instance'>,
  { clock, replica }: { readonly clock: Clock; readonly replica: string },
): Promise<AuditStore> {
  return openSqliteAudit({ path: sqlitePath(store), instance, replica, clock });
}

/** For questions: creates nothing, changes nothing, and needs no more than the right to read. */
export async function openAuditReader(store: Config['audit']['store'], clock: Clock): Promise<AuditStore> {
  return openSqliteAudit({ path: sqlitePath(store), instance: '', replica: '', clock, readOnly: true });
}

function sqlitePath(store: Config['audit']['store']): string {
  if (store.kind === 'sqlite') return store.path;
  throw new AppError('CONFIG_INVALID', {
    about: 'audit.store',
    detail: `${store.kind} is not in this version`,
  });
}
