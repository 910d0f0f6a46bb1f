import { readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { AppError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret-value.ts';
import { onlyVersion } from '../only-version.ts';
import { createPlaces } from '../places.ts';
import type { Check, Operation, ProviderDeps, ReadResult, SecretProvider, SourceRef } from '../provider.ts';
import { failedRead, nameSearch, orElse, settle } from '../settle.ts';
import { systemDeadline } from '../timing.ts';
import type { FilesConfig } from './config.ts';
import { changed, fromFileSystem, steadily } from './errors.ts';
import { findBelow } from './find.ts';
import { realRoot, stillLeadsTo } from './paths.ts';
import { readBelow } from './read.ts';
import { yamlToJson } from './yaml.ts';

export async function openFiles({ path }: FilesConfig, deps: ProviderDeps): Promise<SecretProvider> {
  const inPlace = createPlaces();
  const ask = <T>(
    operation: Operation,
    id: string,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> =>
    deps.limit((limited) => inPlace(`${operation} ${id}`, () => work(limited), limited), signal, operation);
  const look = (ref: SourceRef, signal: AbortSignal | undefined): Promise<Look> =>
    orElse<Look>(
      ask('read', ref.key, signal, () => steadily(() => readOne(path, ref, deps))),
      (error) => ({ result: failedRead(deps.name, ref.key, error) }),
    );
  return {
    async read(refs, { signal } = {}) {
      for (let attempt = 1; ; attempt += 1) {
        const looks = await Promise.all(refs.map((ref) => look(ref, signal)));
        if (looks.every(({ result }) => result.kind === 'failed')) return looks.map(({ result }) => result);
        const failures = await settle(
          whichMoved(path, refs, looks, (work) =>
            soon(signal, (limited) => inPlace(undefined, work, limited)),
          ),
        );
        const failureAt = (index: number) => ('error' in failures ? failures.error : failures.value[index]);
        // Certificate and key must be of one update; so nothing is taken until all are found where they were read.
        if (
          'value' in failures &&
          attempt < PASSES &&
          failures.value.some((failure) => failure !== undefined)
        )
          continue;
        return looks.map(({ result }, index) => {
          const failure = result.kind === 'failed' ? undefined : failureAt(index);
          return failure === undefined ? result : failedRead(deps.name, refs[index]?.key ?? '', failure);
        });
      }
    },
    // The version is the fingerprint of the value, so only a read can tell.
    versions: async (keys) => keys.map(() => ({ kind: 'unknown' })),
    find: (query, { signal } = {}) =>
      nameSearch(
        deps.name,
        query,
        ask('list', query.path, signal, (limited) => findBelow(path, query, limited)),
      ),
    check: async ({ signal } = {}) => [await ask('check', '', signal, () => checkFolder(path))],
    async probe({ signal } = {}) {
      const { error } = await ask('probe', '', signal, () => checkFolder(path));
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

/**
 * For each that is to be read anew, why.
 * @param inTime Bounds each look by itself: thousands at a slow file system take long together, and it does not hang.
 */
async function whichMoved(
  path: string,
  refs: readonly SourceRef[],
  looks: readonly Look[],
  inTime: (work: () => Promise<boolean>) => Promise<boolean>,
): Promise<readonly (AppError | undefined)[]> {
  const failures: (AppError | undefined)[] = [];
  // One after the other: a place is for one call at a time.
  for (const [index, { result, place }] of looks.entries()) {
    const at = join(path, refs[index]?.key ?? '');
    const stays = result.kind === 'failed' || (await inTime(() => stillLeadsTo(place, at)));
    failures.push(stays ? undefined : changed());
  }
  return failures;
}

/** The file system may hang by now, which it did not while it was read. */
const SOON_MS = 15_000;

async function soon<T>(
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = systemDeadline(SOON_MS);
  try {
    return await work(signal === undefined ? limit.signal : AbortSignal.any([signal, limit.signal]));
  } finally {
    limit.stop();
  }
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
