import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { credentialsOf } from '../app/app.ts';
import { openAuditReader } from '../app/audit.ts';
import { addressOf, isPostgres } from '../app/audit-place.ts';
import { openCluster } from '../app/cluster.ts';
import { parseAddress } from '../audit/postgres/address.ts';
import type { AuditStore } from '../audit/store.ts';
import { formatOf } from '../audit/verify/export-file.ts';
import type { Config } from '../config/config.ts';
import { AppError } from '../core/errors.ts';
import { SecretValue } from '../core/secret-value.ts';
import type { Context, GlobalOptions } from './context.ts';
import { fileError } from './file-error.ts';
import { requireConfig } from './require-config.ts';
import { UsageError } from './usage-error.ts';

export interface AuditOptions extends GlobalOptions {
  /** The path of an audit store, or the address of one on PostgreSQL; else the configuration says it. */
  readonly audit?: string;
}

/**
 * What opens a store and tells fingerprints. The cluster is opened for a Secret alone: questions do without it as long
 * as nothing is kept there. Without a configuration, a Secret is not there.
 */
export function auditCredentials(
  { env, clock }: Pick<Context, 'env' | 'clock'>,
  config: Pick<Config, 'cluster'> | undefined,
): ReturnType<typeof credentialsOf> {
  return credentialsOf({ env, onCredential: () => undefined }, async (name, key) => {
    if (config === undefined) return undefined;
    await using cluster = await openCluster(config.cluster, { env, clock });
    return await cluster.ownSecret(name, key);
  });
}

/** Nothing of the address is in the error. @throws UsageError for an address of another scheme, or on PostgreSQL that is none. */
export function checkPlace(option: string, place: string | undefined): void {
  if (place === undefined) return;
  if (!isPostgres(place)) {
    // As the path of a file it would be made and named with its password.
    if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(place)) return;
    throw new UsageError(`${option}: an address begins with postgres://; all else is a path`);
  }
  try {
    parseAddress(SecretValue.fromText(place), undefined);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'CONFIG_INVALID') throw error;
    throw new UsageError(`${option}: ${error.detail ?? error.message}`);
  }
}

/**
 * No store comes to where the command line names none, however often it is asked; one that the configuration names may,
 * with its volume. And an export is there to be proved or read on; there is nothing to search it by. @throws UsageError
 */
export async function refuseNoStore(option: string, path: string, shown: string): Promise<void> {
  const what = `${option} ${shown} cannot be read`;
  try {
    if ((await stat(path)).isDirectory()) throw new UsageError(`${what}: it is a folder`);
  } catch (error) {
    throw fileError(error, what);
  }
  const format = await formatOf(path);
  if (format === undefined || format === 'empty') return;
  const use = format === 'jsonl' ? ', which only `audit verify` reads' : ` as ${format.toUpperCase()}`;
  throw new UsageError(`${option}: ${shown} looks like an export${use}: name the store that it came from`);
}

/** The audit store that `--audit` names, or the configuration's; nothing when that is invalid, with its problems printed. */
export async function openAuditForReading(
  context: Context,
  options: AuditOptions,
): Promise<AuditStore | undefined> {
  const { audit } = options;
  checkPlace('--audit', audit);
  if (audit !== undefined) {
    const path = resolve(context.cwd, audit);
    const isServer = isPostgres(audit);
    if (!isServer) await refuseNoStore('--audit', path, audit);
    return openAuditReader(
      isServer ? { kind: 'postgres', url: { env: '--audit' } } : { kind: 'sqlite', path },
      context.clock,
      async () => addressOf(audit, context.env),
    );
  }
  const config = await requireConfig(context, options);
  return config && openAuditReader(config.audit.store, context.clock, auditCredentials(context, config));
}
