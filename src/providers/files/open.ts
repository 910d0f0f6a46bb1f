import { readdir } from 'node:fs/promises';
import { extname } from 'node:path';
import { AppError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret-value.ts';
import type { Check, ProviderDeps, ReadResult, SecretProvider, SourceRef } from '../provider.ts';
import type { FilesConfig } from './config.ts';
import { fromFileSystem } from './errors.ts';
import { findBelow } from './find.ts';
import { realRoot } from './paths.ts';
import { readBelow } from './read.ts';
import { yamlToJson } from './yaml.ts';

export async function openFiles({ path }: FilesConfig, deps: ProviderDeps): Promise<SecretProvider> {
  const about = (key: string) => `store ${deps.name}, key ${key}`;
  return {
    read: (refs, { signal } = {}) =>
      Promise.all(
        refs.map(async (ref): Promise<ReadResult> => {
          try {
            return await deps.limit(() => readOne(path, ref, deps), signal);
          } catch (error) {
            if (!(error instanceof AppError)) throw error;
            return { kind: 'failed', error: error.concerning(about(ref.key)) };
          }
        }),
      ),
    // The version is the fingerprint of the value, so only a read can tell.
    versions: async (keys) => keys.map(() => ({ kind: 'unknown' })),
    async find(query, { signal } = {}) {
      try {
        return await deps.limit((limited) => findBelow(path, query, limited), signal);
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        throw error.concerning(`store ${deps.name}, search below "${query.path}"`);
      }
    },
    check: async ({ signal } = {}) => [await deps.limit(() => checkFolder(path), signal)],
    async [Symbol.asyncDispose]() {},
  };
}

async function readOne(path: string, ref: SourceRef, { fingerprints }: ProviderDeps): Promise<ReadResult> {
  if (ref.object !== undefined && ref.object !== 'secret') {
    throw new AppError('CONFIG_INVALID', { detail: '`object` is for Azure Key Vault only' });
  }
  const content = await readBelow(path, ref.key);
  if (content === undefined) {
    if (ref.version !== undefined) throw new AppError('VERSION_GONE');
    return { kind: 'absent' };
  }
  const value = SecretValue.fromBytes(content.bytes);
  const version = fingerprints.value(value);
  // There is only the current one, so a version is a condition.
  if (ref.version !== undefined && ref.version !== version) throw new AppError('VERSION_GONE');
  const object = jsonOf(ref.key, content.bytes);
  return {
    kind: 'found',
    value,
    ...(object === undefined ? {} : { object: SecretValue.fromText(object) }),
    version,
    createdAt: content.modifiedAt,
  };
}

/**
 * Only YAML needs another form; a JSON file is its own. Where there is none, properties are taken from the bytes
 * themselves, which are no JSON: NOT_AN_OBJECT, while the whole file can still be read.
 */
function jsonOf(key: string, bytes: Buffer): string | undefined {
  const extension = extname(key).toLowerCase();
  if (extension !== '.yaml' && extension !== '.yml') return undefined;
  const text = utf8(bytes);
  return text === undefined ? undefined : yamlToJson(text);
}

function utf8(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

async function checkFolder(path: string): Promise<Check> {
  const name = 'folder';
  try {
    await readdir(await realRoot(path));
    return { name };
  } catch (error) {
    return { name, error: error instanceof AppError ? error : fromFileSystem(error) };
  }
}
