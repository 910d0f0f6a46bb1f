import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { addressOf, isPostgres, openAuditReader } from '../app/audit.ts';
import { credentialsOf, openCluster } from '../app/cluster.ts';
import { parseAddress } from '../audit/postgres/address.ts';
import type { AuditStore } from '../audit/store.ts';
import { detectFormat } from '../audit/verify/export-file.ts';
import type { Config } from '../config/config.ts';
import { AppError } from '../core/errors.ts';
import { SecretValue } from '../core/secret-value.ts';
import type { ReadCredential } from '../providers/credentials.ts';
import type { Context, GlobalOptions } from './context.ts';
import { fileError, UsageError } from './errors.ts';
import { requireConfig } from './with-app.ts';

export interface AuditOptions extends GlobalOptions {
  /** The path of an audit store, or the URL of a PostgreSQL audit store. Default: the store of the configuration. */
  readonly audit?: string;
}

/**
 * Returns a function that reads the credentials for opening an audit store and for computing fingerprints. The function
 * opens the cluster only for a credential that is in a Secret, so most queries need no cluster. Without a
 * configuration, the function cannot read Secrets.
 */
export function auditCredentials(
  { env, clock }: Pick<Context, 'env' | 'clock'>,
  config: Pick<Config, 'cluster'> | undefined,
): ReadCredential {
  const ownSecret = async (name: string, key: string): Promise<SecretValue | undefined> => {
    if (config === undefined) return undefined;
    await using cluster = await openCluster(config.cluster, { env, clock });
    return await cluster.ownSecret(name, key);
  };
  return credentialsOf({ env, onCredential: () => undefined }, ownSecret);
}

/**
 * Checks the value of an option that names an audit store. Error messages omit the URL, which can contain a password.
 * @throws UsageError for an unknown URL scheme or an invalid PostgreSQL URL
 */
export function checkAuditLocation(option: string, place: string | undefined): void {
  if (place === undefined) return;
  if (!isPostgres(place)) {
    // Without this check, the whole URL with its password would become the name of a new file.
    if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(place)) return;
    throw new UsageError(`${option}: a URL must begin with postgres://; anything else is a path`);
  }
  try {
    parseAddress(SecretValue.fromText(place), undefined);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'CONFIG_INVALID') throw error;
    throw new UsageError(`${option}: ${error.detail ?? error.message}`);
  }
}

/**
 * Checks that a file named on the command line is an existing audit store. (An audit store in the configuration need
 * not exist yet, because its volume may appear later.) Rejects an export, because an export cannot be searched.
 * @throws UsageError
 */
export async function requireStoreFile(option: string, path: string, shown: string): Promise<void> {
  const what = `${option} ${shown} cannot be read`;
  try {
    if ((await stat(path)).isDirectory()) throw new UsageError(`${what}: it is a folder`);
  } catch (error) {
    throw fileError(error, what);
  }
  const format = await detectFormat(path);
  if (format === undefined || format === 'empty') return;
  const use = format === 'jsonl' ? ', which only `audit verify` reads' : ` as ${format.toUpperCase()}`;
  throw new UsageError(
    `${option}: ${shown} looks like an export${use}: name the audit store it was exported from`,
  );
}

/**
 * Opens the audit store of `--audit`, or of the configuration. If the configuration is invalid, prints its problems and
 * returns undefined.
 */
export async function openAuditForReading(
  context: Context,
  options: AuditOptions,
): Promise<AuditStore | undefined> {
  const { audit } = options;
  checkAuditLocation('--audit', audit);
  if (audit !== undefined) {
    const path = resolve(context.cwd, audit);
    const isServer = isPostgres(audit);
    if (!isServer) await requireStoreFile('--audit', path, audit);
    return openAuditReader(
      isServer ? { kind: 'postgres', url: { env: '--audit' } } : { kind: 'sqlite', path },
      context.clock,
      async () => addressOf(audit, context.env),
    );
  }
  const config = await requireConfig(context, options);
  return config && openAuditReader(config.audit.store, context.clock, auditCredentials(context, config));
}
