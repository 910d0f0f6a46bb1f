import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseCheckpoints } from '../audit/checkpoint/checkpoint.ts';
import { fileLocation } from '../audit/checkpoint/locations.ts';
import { keysById, type PublicKeys, parsePublicKeys } from '../audit/checkpoint/signing.ts';
import type { Evidence } from '../audit/verify/evidence.ts';
import type { Config } from '../config/config.ts';
import { instancesOf } from '../core/target.ts';
import { auditCredentials } from './audit-reader.ts';
import type { Context } from './context.ts';
import { fileError, UsageError } from './errors.ts';

export interface EvidenceOptions {
  /** Checkpoint files, or log files that contain checkpoints. */
  readonly checkpoints?: readonly string[];
  /** Public keys: PEM, base64, or the path of a file that contains PEM or base64. */
  readonly key?: readonly string[];
}

export interface LoadedEvidence extends Evidence {
  /** The configured checkpoint locations in which this instance has no checkpoint. */
  readonly missing: readonly string[];
}

/** Loads checkpoints and keys from the options. For a missing option, uses the configuration, if there is one. */
export async function loadEvidence(
  context: Context,
  { checkpoints, key }: EvidenceOptions,
  config: Config | undefined,
): Promise<LoadedEvidence> {
  return {
    ...(checkpoints === undefined
      ? await readConfiguredFiles(context, config)
      : { checkpoints: await readNamedFiles(context, checkpoints), missing: [] }),
    keys: key === undefined ? await configuredKeys(context, config) : await namedKeys(context, key),
  };
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
 * Reads the checkpoint files of the configuration without the network. Checkpoints in the cluster or on standard output
 * must be saved to a file before the verification.
 */
async function readConfiguredFiles(
  { stderr }: Context,
  config: Config | undefined,
): Promise<Pick<LoadedEvidence, 'checkpoints' | 'missing'>> {
  if (config === undefined) return { checkpoints: [], missing: [] };
  const instances = instancesOf(config);
  const missing: string[] = [];
  const read = config.audit.checkpoints.map(async (place) => {
    if (place.kind === 'file') {
      const { name, read } = fileLocation(place.path);
      const ours = (await read()).filter(({ instance }) => instances.includes(instance));
      if (ours.length === 0) missing.push(name);
      return ours;
    }
    const what = place.kind === 'stdout' ? 'standard output' : `the ConfigMap ${place.name}`;
    stderr.write(`Checkpoints in ${what} are not read: save them to a file and use --checkpoints PATH.\n`);
    return [];
  });
  return { checkpoints: (await Promise.all(read)).flat(), missing: missing.sort() };
}

async function configuredKeys(context: Context, config: Config | undefined): Promise<PublicKeys> {
  if (config === undefined) return new Map();
  // Read the public keys without the network. So if a public key is stored in the cluster, it must be passed with
  // `--key`.
  const { knownCheckpointKeys } = await import('../app/keys.ts');
  return knownCheckpointKeys(config.keys.checkpoint, { credential: auditCredentials(context, undefined) });
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
