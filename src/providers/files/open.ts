import { readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { AppError } from '../../core/errors.ts';
import type { ReadResult, SourceRef } from '../../core/read-result.ts';
import { SecretValue } from '../../core/secret-value.ts';
import { workerThread } from '../../core/worker-thread.ts';
import { createFileIoLimiter } from '../file-io.ts';
import type { Check, Operation, ProviderDeps, SecretProvider } from '../provider.ts';
import { failedRead, fingerprintVersion, nameSearchErrors, orElse, settle } from '../results.ts';
import { systemDeadline } from '../timing.ts';
import type { FilesConfig } from './config.ts';
import { changed, fromFileSystem, retryDuringUpdate } from './errors.ts';
import { findBelow } from './find.ts';
import { realRoot, resolveKey, stillResolvesTo } from './paths.ts';
import { readBelow } from './read.ts';
import { YAML_TO_JSON, yamlToJson } from './yaml.ts';

export async function openFiles({ path }: FilesConfig, deps: ProviderDeps): Promise<SecretProvider> {
  const runFileIo = createFileIoLimiter();
  const ask = <T>(
    operation: Operation,
    id: string,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> =>
    deps.limit((limited) => runFileIo(`${operation} ${id}`, () => work(limited), limited), signal, operation);
  const attemptRead = async (ref: SourceRef, signal: AbortSignal | undefined): Promise<ReadAttempt> =>
    orElse<ReadAttempt>(
      ask('read', ref.key, signal, () => retryDuringUpdate(() => readResolved(path, ref, deps))),
      (error) => ({ result: failedRead(deps.name, ref.key, error) }),
    );
  return {
    async read(refs, { signal } = {}) {
      for (let attempt = 1; ; attempt += 1) {
        const attempts = await Promise.all(refs.map((ref) => attemptRead(ref, signal)));
        if (attempts.every(({ result }) => result.kind === 'failed'))
          return attempts.map(({ result }) => result);
        const failures = await settle(
          findMoved(path, refs, attempts, (work) =>
            withTimeout(signal, (limited) => runFileIo(undefined, work, limited)),
          ),
        );
        const failureAt = (index: number) => ('error' in failures ? failures.error : failures.value[index]);
        // A certificate and its key must come from the same update of the volume. If any key now resolves to another
        // path than the path that was read, read all keys again.
        if (
          'value' in failures &&
          attempt < MAX_BATCH_ATTEMPTS &&
          failures.value.some((failure) => failure !== undefined)
        )
          continue;
        return attempts.map(({ result }, index) => {
          const failure = result.kind === 'failed' ? undefined : failureAt(index);
          return failure === undefined ? result : failedRead(deps.name, refs[index]?.key ?? '', failure);
        });
      }
    },
    // A version is the fingerprint of a value, so only a read of the file shows it.
    versions: async (keys) => keys.map(() => ({ kind: 'unknown' })),
    find: (query, { signal } = {}) =>
      nameSearchErrors(
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

/** The maximum number of attempts to read a batch, if the volume is updated during each attempt. */
const MAX_BATCH_ATTEMPTS = 3;

interface ReadAttempt {
  readonly result: ReadResult;
  /** The resolved path of the key. Undefined if the key was absent or could not be read. */
  readonly realPath?: string;
}

/**
 * Returns an error for each key whose path has changed, so that the key must be read again.
 * @param inTime Limits the time of each single check. All checks together may take longer, because a slow file system
 * may have thousands of keys.
 */
async function findMoved(
  path: string,
  refs: readonly SourceRef[],
  attempts: readonly ReadAttempt[],
  inTime: (work: () => Promise<boolean>) => Promise<boolean>,
): Promise<readonly (AppError | undefined)[]> {
  const failures: (AppError | undefined)[] = [];
  // Check one key after another, because a permit allows only one operation at a time.
  for (const [index, { result, realPath }] of attempts.entries()) {
    const at = join(path, refs[index]?.key ?? '');
    const isUnchanged = result.kind === 'failed' || (await inTime(() => stillResolvesTo(realPath, at)));
    failures.push(isUnchanged ? undefined : changed());
  }
  return failures;
}

/** The timeout for each check after the read. The file system may start to hang at any time. */
const TIMEOUT_MS = 15_000;

async function withTimeout<T>(
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = systemDeadline(TIMEOUT_MS);
  try {
    return await work(signal === undefined ? limit.signal : AbortSignal.any([signal, limit.signal]));
  } finally {
    limit.stop();
  }
}

/**
 * Reads a key. If links lead to another key, the result names that key, even if there is no file or the file cannot be
 * read. Otherwise a link would show which names exist where it leads.
 */
async function readResolved(path: string, ref: SourceRef, deps: ProviderDeps): Promise<ReadAttempt> {
  const attempt = await readOne(path, ref, deps).catch((error: unknown): ReadAttempt => {
    if (!(error instanceof AppError) || error.code === 'STORE_UNAVAILABLE') throw error;
    return { result: failedRead(deps.name, ref.key, error) };
  });
  if (attempt.result.kind === 'found') return attempt;
  const resolvedKey = await resolveKey(path, ref.key);
  return resolvedKey === undefined || resolvedKey === ref.key
    ? attempt
    : { ...attempt, result: { ...attempt.result, resolvedKey } };
}

async function readOne(
  path: string,
  ref: SourceRef,
  { name, fingerprints }: ProviderDeps,
): Promise<ReadAttempt> {
  if (ref.object !== undefined && ref.object !== 'secret') {
    throw new AppError('CONFIG_INVALID', { detail: '`object` is only supported for Azure Key Vault' });
  }
  const content = await readBelow(path, ref.key);
  if (content === undefined) {
    if (ref.version !== undefined) throw new AppError('VERSION_GONE');
    return { result: { kind: 'absent' } };
  }
  const value = SecretValue.fromBytes(content.bytes);
  const version = fingerprintVersion(value, ref.version, fingerprints);
  const object = await jsonOf(name, ref.key, content.bytes);
  const { key } = content;
  return {
    realPath: content.realPath,
    result: {
      kind: 'found',
      value,
      ...(object === undefined ? {} : { object: SecretValue.fromText(object) }),
      version,
      createdAt: content.modifiedAt,
      ...(key === ref.key ? {} : { resolvedKey: key }),
    },
  };
}

const BYTE_ORDER_MARK = Buffer.from('\uFEFF');

/**
 * Returns the JSON text from which properties are read. Converts YAML, and removes the byte order mark of a JSON file.
 * Returns undefined for other files, whose properties are read from the original bytes. If these bytes are not JSON,
 * reading a property fails with NOT_AN_OBJECT, but the whole file can still be read.
 */
async function jsonOf(store: string, key: string, bytes: Buffer): Promise<string | undefined> {
  const extension = extname(key).toLowerCase();
  if (extension === '.json' && bytes.subarray(0, 3).equals(BYTE_ORDER_MARK)) return utf8(bytes);
  if (extension !== '.yaml' && extension !== '.yml') return undefined;
  const text = utf8(bytes);
  if (text === undefined || text.length <= SMALL_YAML) return text && yamlToJson(text);
  const result = await workerThread.run(YAML_TO_JSON, text, { group: store, timeMs: YAML_MS });
  return result.kind === 'done' ? result.output : undefined;
}

/** Longer YAML is parsed in the worker thread. In characters. */
const SMALL_YAML = 8 * 1024;
/** The processor time for one document. A document that takes longer is treated like one that is too long. */
const YAML_MS = 3_000;

/** Decodes UTF-8 and removes a byte order mark. */
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
