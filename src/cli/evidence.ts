import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Checkpoint, parseCheckpoints } from '../audit/checkpoint/checkpoint.ts';
import { fileLocation } from '../audit/checkpoint/locations.ts';
import { keysById, type PublicKeys, parsePublicKeys } from '../audit/checkpoint/signing.ts';
import type { RecordKeys } from '../audit/record-keys.ts';
import type { Evidence } from '../audit/verify/evidence.ts';
import type { CheckpointPlace, Config } from '../config/config.ts';
import { toAppError } from '../core/errors.ts';
import { instancesOf } from '../core/target.ts';
import { auditCredentials } from './audit-reader.ts';
import type { Context } from './context.ts';
import { fileError, UsageError } from './errors.ts';

export interface EvidenceOptions {
  /** Checkpoint files, or log files that contain checkpoints. */
  readonly checkpoints?: readonly string[];
  /** Public keys: PEM, base64, or the path of a file that contains PEM or base64. */
  readonly key?: readonly string[];
  /** Files with fingerprint keys, which check the HMACs of records. */
  readonly fingerprintKey?: readonly string[];
}

export interface LoadedEvidence extends Evidence {
  /** The configured checkpoint locations in which this instance has no checkpoint. */
  readonly missing: readonly string[];
}

/**
 * Loads checkpoints and keys from the options. For a missing option, uses the configuration, if there is one.
 * @param folder The folder of the audit store, if checkpoints and keys may be beside it.
 */
export async function loadEvidence(
  context: Context,
  { checkpoints, key, fingerprintKey }: EvidenceOptions,
  config: Config | undefined,
  folder?: string,
): Promise<LoadedEvidence> {
  return {
    ...(checkpoints === undefined
      ? await readConfiguredPlaces(context, config, folder)
      : { checkpoints: await readNamedFiles(context, checkpoints), missing: [] }),
    keys: key === undefined ? await configuredKeys(context, config, folder) : await namedKeys(context, key),
    recordKeys: await recordKeys(context, fingerprintKey, config),
    hasRetention: config?.audit.retentionMs !== undefined,
  };
}

async function recordKeys(
  context: Context,
  named: readonly string[] | undefined,
  config: Config | undefined,
): Promise<RecordKeys | undefined> {
  const { knownRecordKeys } = await import('../app/keys.ts');
  const references =
    named?.map((path) => ({ file: resolve(context.cwd, path) })) ?? config?.keys.fingerprint ?? [];
  return knownRecordKeys(references, {
    credential: auditCredentials(context, undefined),
    isRequired: named !== undefined,
  });
}

/**
 * Reads the named checkpoint files. Fails if they contain no checkpoint, because "verified" would then be misleading.
 */
async function readNamedFiles(context: Context, paths: readonly string[]) {
  const checkpoints = (await Promise.all(paths.map((path) => readCheckpointFile(context, path)))).flat();
  if (checkpoints.length === 0)
    throw new UsageError(`--checkpoints ${paths.join(', ')}: no checkpoint found`);
  return checkpoints;
}

async function readCheckpointFile({ cwd, stderr }: Context, path: string) {
  const checkpoints = parseCheckpoints(await readTextOption('--checkpoints', path, cwd));
  if (checkpoints.length === 0) stderr.write(`No checkpoint found in ${path}.\n`);
  return checkpoints;
}

/**
 * Reads the checkpoints at the places of the configuration. Those on standard output must be saved to a file before the
 * verification.
 */
async function readConfiguredPlaces(
  context: Context,
  config: Config | undefined,
  folder: string | undefined,
): Promise<Pick<LoadedEvidence, 'checkpoints' | 'missing'>> {
  if (config === undefined) {
    if (folder === undefined) return { checkpoints: [], missing: [] };
    return { checkpoints: await fileLocation(join(folder, 'checkpoints.jsonl')).read(), missing: [] };
  }
  const instances = instancesOf(config);
  const missing: string[] = [];
  const read = config.audit.checkpoints.map(async (place) => {
    const location = await readLocation(context, config, place);
    if (location === undefined) return [];
    const ours = location.checkpoints.filter(({ instance }) => instances.includes(instance));
    if (ours.length === 0) missing.push(location.name);
    return ours;
  });
  return { checkpoints: (await Promise.all(read)).flat(), missing: missing.sort() };
}

/** Opens the cluster only for a ConfigMap. If a place cannot be read, prints a notice and returns undefined. */
async function readLocation(
  { env, clock, stderr, signal }: Context,
  config: Config,
  place: CheckpointPlace,
): Promise<{ readonly name: string; readonly checkpoints: readonly Checkpoint[] } | undefined> {
  if (place.kind === 'file') {
    const { name, read } = fileLocation(place.path);
    return { name, checkpoints: await read() };
  }
  const save = 'save them to a file and use --checkpoints PATH.\n';
  if (place.kind === 'stdout') {
    stderr.write(`Checkpoints in standard output are not read: ${save}`);
    return undefined;
  }
  const { NO_CLUSTER, openClusterFor, placeOf } = await import('../app/checkpoints.ts');
  try {
    await using cluster = await openClusterFor([place], config.cluster, { env, clock, stop: signal });
    const { name, read } = placeOf(place, { cluster: cluster ?? NO_CLUSTER, print: () => undefined });
    return { name, checkpoints: await read() };
  } catch (thrown) {
    const { code } = toAppError(thrown);
    stderr.write(`Checkpoints in the ConfigMap ${place.name} cannot be read (${code}): ${save}`);
    return undefined;
  }
}

async function configuredKeys(
  context: Context,
  config: Config | undefined,
  folder: string | undefined,
): Promise<PublicKeys> {
  const { knownCheckpointKeys } = await import('../app/keys.ts');
  const beside = folder === undefined ? undefined : { file: join(folder, 'checkpoint.key') };
  const reference = config?.keys.checkpoint ?? beside;
  if (reference === undefined) return new Map();
  // Read the public keys without the network. So if a public key is stored in the cluster, it must be passed with
  // `--key`.
  return knownCheckpointKeys(reference, { credential: auditCredentials(context, undefined) });
}

async function namedKeys({ cwd }: Context, named: readonly string[]): Promise<PublicKeys> {
  const keys = await Promise.all(
    named.map(async (text) => {
      const inline = parsePublicKeys(text);
      const publicKeys =
        inline.length > 0 ? inline : parsePublicKeys(await readTextOption('--key', text, cwd));
      if (publicKeys.length === 0) throw new UsageError(`--key ${text}: no Ed25519 public key found`);
      return publicKeys;
    }),
  );
  return keysById(keys.flat());
}

async function readTextOption(option: string, path: string, cwd: string): Promise<string> {
  try {
    return await readFile(resolve(cwd, path), 'utf8');
  } catch (error) {
    // Do not print an argument that looks like a private key.
    const shown = path.includes('-----BEGIN') || path.includes('\n') ? '(not shown)' : path;
    throw fileError(error, `${option} ${shown} cannot be read`);
  }
}
