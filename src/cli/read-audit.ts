import { resolve } from 'node:path';
import { credentialsOf } from '../app/app.ts';
import { openAuditReader } from '../app/audit.ts';
import { addressOf, isPostgres } from '../app/audit-place.ts';
import { parseAddress } from '../audit/postgres-address.ts';
import type { AuditStore } from '../audit/store.ts';
import { AppError } from '../core/errors.ts';
import { SecretValue } from '../core/secret-value.ts';
import type { Context, GlobalOptions } from './context.ts';
import { requireConfig } from './require-config.ts';
import { UsageError } from './usage-error.ts';

export interface AuditOptions extends GlobalOptions {
  /** The path of an audit store, or the address of one on PostgreSQL; else the configuration says it. */
  readonly audit?: string;
}

/** What opens a store and tells fingerprints. A Secret would need the cluster, which questions do without. */
export function auditCredentials({ env }: Pick<Context, 'env'>): ReturnType<typeof credentialsOf> {
  return credentialsOf({ env, onCredential: () => undefined }, async () => undefined);
}

/** Nothing of the address is in the error. @throws UsageError for an address on PostgreSQL that is none. */
export function checkPlace(option: string, place: string | undefined): void {
  if (place === undefined || !isPostgres(place)) return;
  try {
    parseAddress(SecretValue.fromText(place), undefined);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'CONFIG_INVALID') throw error;
    throw new UsageError(`${option}: ${error.detail ?? error.message}`);
  }
}

/** The audit store that `--audit` names, or the configuration's; nothing when that is invalid, with its problems printed. */
export async function openAuditForReading(
  context: Context,
  options: AuditOptions,
): Promise<AuditStore | undefined> {
  const credential = auditCredentials(context);
  const { audit } = options;
  checkPlace('--audit', audit);
  if (audit !== undefined && isPostgres(audit))
    return openAuditReader({ kind: 'postgres', url: { env: '--audit' } }, context.clock, async () =>
      addressOf(audit, context.env),
    );
  if (audit !== undefined)
    return openAuditReader({ kind: 'sqlite', path: resolve(context.cwd, audit) }, context.clock, credential);
  const config = await requireConfig(context, options);
  return config && openAuditReader(config.audit.store, context.clock, credential);
}
