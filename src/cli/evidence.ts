import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { knownCheckpointKeys } from '../app/keys.ts';
import { checkpointsIn } from '../audit/checkpoint/lines.ts';
import { filePlace } from '../audit/checkpoint/places/file.ts';
import { keysById, type PublicKeys, publicKeysIn } from '../audit/checkpoint/signing.ts';
import type { Evidence } from '../audit/verify/verify.ts';
import type { Config } from '../config/config.ts';
import { instancesOf } from '../core/instances.ts';
import type { Context } from './context.ts';
import { fileError } from './file-error.ts';
import { auditCredentials } from './read-audit.ts';
import { UsageError } from './usage-error.ts';

export interface EvidenceOptions {
  /** Files of checkpoints, or of a log that holds them. */
  readonly checkpoints?: readonly string[];
  /** PEM, base64, or the path of a file that holds them. */
  readonly key?: readonly string[];
}

export interface Found extends Evidence {
  /** Places of the configuration that were looked at and hold no checkpoint of ours. */
  readonly missing: readonly string[];
}

/** What the options name; what they leave out, of the configuration where there is one. */
export async function evidenceOf(
  context: Context,
  { checkpoints, key }: EvidenceOptions,
  config: Config | undefined,
): Promise<Found> {
  return {
    ...(checkpoints === undefined
      ? await configured(context, config)
      : { checkpoints: await named(context, checkpoints), missing: [] }),
    keys: key === undefined ? await configuredKeys(context, config) : await namedKeys(context, key),
  };
}

/** Whoever names files wants the proof that they hold: with none in any of them, all is well would say too much. */
async function named(context: Context, paths: readonly string[]) {
  const found = (await Promise.all(paths.map((path) => checkpointsAt(context, path)))).flat();
  if (found.length === 0)
    throw new UsageError(`--checkpoints ${paths.join(', ')}: there is no checkpoint to prove by`);
  return found;
}

async function checkpointsAt({ cwd, stderr }: Context, path: string) {
  const found = checkpointsIn(await textOf('--checkpoints', path, cwd));
  if (found.length === 0) stderr.write(`There is no checkpoint in ${path}.\n`);
  return found;
}

/** Without the network: what is in the cluster or on somebody's screen must be handed over. */
async function configured(
  { stderr }: Context,
  config: Config | undefined,
): Promise<Pick<Found, 'checkpoints' | 'missing'>> {
  if (config === undefined) return { checkpoints: [], missing: [] };
  const instances = instancesOf(config);
  const missing: string[] = [];
  const read = config.audit.checkpoints.map(async (place) => {
    if (place.kind === 'file') {
      const { name, read } = filePlace(place.path);
      const ours = (await read()).filter(({ instance }) => instances.includes(instance));
      if (ours.length === 0) missing.push(name);
      return ours;
    }
    const what = place.kind === 'stdout' ? 'standard output' : `the ConfigMap ${place.name}`;
    stderr.write(`Checkpoints of ${what} are not looked at: save them and give --checkpoints PATH.\n`);
    return [];
  });
  return { checkpoints: (await Promise.all(read)).flat(), missing: missing.sort() };
}

async function configuredKeys(context: Context, config: Config | undefined): Promise<PublicKeys> {
  if (config === undefined) return new Map();
  // Without the network here as well: the public key of one that is in the cluster must be given by `--key`.
  return knownCheckpointKeys(config.keys.checkpoint, { credential: auditCredentials(context, undefined) });
}

async function namedKeys({ cwd }: Context, named: readonly string[]): Promise<PublicKeys> {
  const keys = await Promise.all(
    named.map(async (it) => {
      const given = publicKeysIn(it);
      const found = given.length > 0 ? given : publicKeysIn(await textOf('--key', it, cwd));
      if (found.length === 0) throw new UsageError(`--key ${it}: there is no Ed25519 public key in it`);
      return found;
    }),
  );
  return keysById(keys.flat());
}

async function textOf(option: string, path: string, cwd: string): Promise<string> {
  try {
    return await readFile(resolve(cwd, path), 'utf8');
  } catch (error) {
    // The text of a key where a path should be may be that of the private one.
    const shown = path.includes('-----BEGIN') || path.includes('\n') ? 'which is not shown' : path;
    throw fileError(error, `${option} ${shown} cannot be read`);
  }
}
