import { readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { AppError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret-value.ts';
import { onlyVersion } from '../only-version.ts';
import type { Check, ProviderDeps, ReadResult, SecretProvider, SourceRef } from '../provider.ts';
import { failedRead, nameSearch, orElse } from '../settle.ts';
import type { FilesConfig } from './config.ts';
import { changed, fromFileSystem, steadily } from './errors.ts';
import { findBelow } from './find.ts';
import { realRoot, stillLeadsTo } from './paths.ts';
import { readBelow } from './read.ts';
import { yamlToJson } from './yaml.ts';

export async function openFiles({ path }: FilesConfig, deps: ProviderDeps): Promise<SecretProvider> {
  const look = (ref: SourceRef, signal: AbortSignal | undefined): Promise<Look> =>
    orElse<Look>(
      deps.limit(() => steadily(() => readOne(path, ref, deps)), signal, 'read'),
      (error) => ({ result: failedRead(deps.name, ref.key, error) }),
    );
  return {
    async read(refs, { signal } = {}) {
      for (let attempt = 1; ; attempt += 1) {
        const looks = await Promise.all(refs.map((ref) => look(ref, signal)));
        const moved = await whichMoved(path, refs, looks);
        // Certificate and key must be of one update; so nothing is taken until all are found where they were read.
        if (moved.every((isMoved) => !isMoved)) return looks.map(({ result }) => result);
        if (attempt < PASSES) continue;
        return looks.map(({ result }, index) =>
          moved[index] ? failedRead(deps.name, refs[index]?.key ?? '', changed()) : result,
        );
      }
    },
    // The version is the fingerprint of the value, so only a read can tell.
    versions: async (keys) => keys.map(() => ({ kind: 'unknown' })),
    find: (query, { signal } = {}) =>
      nameSearch(
        deps.name,
        query,
        deps.limit((limited) => findBelow(path, query, limited), signal, 'list'),
      ),
    check: async ({ signal } = {}) => [await deps.limit(() => checkFolder(path), signal, 'check')],
    async probe({ signal } = {}) {
      const { error } = await deps.limit(() => checkFolder(path), signal, 'probe');
      if (error !== undefined) throw error;
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** So often a batch is read anew because a volume was updated during it. */
const PASSES = 3;

interface Look {
  readonly result: ReadResult;
  /** Where the key led; undefined where it was absent or nothing was decided by its place. */
  readonly place?: string;
}

function whichMoved(path: string, refs: readonly SourceRef[], looks: readonly Look[]): Promise<boolean[]> {
  return Promise.all(
    looks.map(async ({ result, place }, index) => {
      if (result.kind === 'failed') return false;
      return !(await stillLeadsTo(place, join(path, refs[index]?.key ?? '')));
    }),
  );
}

async function readOne(path: string, ref: SourceRef, { fingerprints }: ProviderDeps): Promise<Look> {
  if (ref.object !== undefined && ref.object !== 'secret') {
    throw new AppError('CONFIG_INVALID', { detail: '`object` is for Azure Key Vault only' });
  }
  const content = await readBelow(path, ref.key);
  if (content === undefined) {
    if (ref.version !== undefined) throw new AppError('VERSION_GONE');
    return { result: { kind: 'absent' } };
  }
  const value = SecretValue.fromBytes(content.bytes);
  const version = onlyVersion(value, ref.version, fingerprints);
  const object = jsonOf(ref.key, content.bytes);
  return {
    place: content.place,
    result: {
      kind: 'found',
      value,
      ...(object === undefined ? {} : { object: SecretValue.fromText(object) }),
      version,
      createdAt: content.modifiedAt,
    },
  };
}

const BYTE_ORDER_MARK = Buffer.from('\uFEFF');

/**
 * YAML needs another form; a JSON file is its own, but for a byte order mark. Where there is none, properties are taken
 * from the bytes themselves, which are no JSON: NOT_AN_OBJECT, while the whole file can still be read.
 */
function jsonOf(key: string, bytes: Buffer): string | undefined {
  const extension = extname(key).toLowerCase();
  if (extension === '.json' && bytes.subarray(0, 3).equals(BYTE_ORDER_MARK)) return utf8(bytes);
  if (extension !== '.yaml' && extension !== '.yml') return undefined;
  const text = utf8(bytes);
  return text === undefined ? undefined : yamlToJson(text);
}

/** Without a byte order mark. */
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
