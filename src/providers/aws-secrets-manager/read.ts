import { AppError } from '../../core/errors.ts';
import { chunks } from '../../core/lists.ts';
import type { ReadResult, SourceRef } from '../../core/read-result.ts';
import { asStoreError } from '../aws/session.ts';
import type { CallOptions, ProviderDeps } from '../provider.ts';
import type { ListCosts } from '../read-strategy.ts';
import { orElse, settleRead } from '../results.ts';
import { BATCH_SIZE, type BatchState, readBatch } from './batch.ts';
import type { AwsConfig } from './config.ts';
import { checkKey, checkVersion } from './keys.ts';
import { describe, expiryIn, readSingle } from './single.ts';
import type { Session } from './value.ts';

export interface Store {
  readonly config: AwsConfig;
  readonly deps: ProviderDeps;
  readonly session: Session;
  readonly batch: BatchState;
  readonly lists: ListCosts;
}

/**
 * Reads current versions in batches, and other versions one by one. Each combination of secret and version is read only
 * once.
 */
export async function readAll(
  store: Store,
  refs: readonly SourceRef[],
  { signal }: CallOptions,
): Promise<readonly ReadResult[]> {
  const { session, batch, config, deps } = store;
  const place = { name: `region ${config.region}`, setting: 'region' };
  const settle = async (key: string, read: Promise<ReadResult>): Promise<ReadResult> => {
    const result = await settleRead(deps.name, key, asStoreError(read));
    return result.kind === 'absent' ? { ...result, place } : result;
  };
  const requested = new Map<string, Promise<ReadResult>>();
  const current = new Map<string, PromiseWithResolvers<ReadResult>>();

  const ask = (ref: SourceRef): Promise<ReadResult> => {
    if (ref.version !== undefined) {
      const version = checkVersion(ref.version);
      return settle(ref.key, readSingle(session, ref.key, version, signal));
    }
    const pending = Promise.withResolvers<ReadResult>();
    current.set(ref.key, pending);
    return pending.promise;
  };
  const results = refs.map((ref) => {
    try {
      if (ref.object !== undefined && ref.object !== 'secret')
        throw new AppError('CONFIG_INVALID', { detail: '`object` is only supported for Azure Key Vault' });
      checkKey(ref.key, config.region);
      const id = JSON.stringify([ref.key, ref.version]);
      const result = requested.get(id) ?? ask(ref);
      requested.set(id, result);
      return result;
    } catch (error) {
      return settle(ref.key, Promise.reject(error));
    }
  });
  const [singles = [], batchable = []] = [true, false].map((isAlone) =>
    [...current.keys()].filter((key) => batch.isReadSingly(key) === isAlone),
  );
  const batches = [...chunks(batchable, BATCH_SIZE), ...chunks(singles, 1)].map(async (keys) => {
    try {
      const batchResults = await readBatch(session, batch, keys, { settle, signal });
      for (const [key, result] of batchResults) current.get(key)?.resolve(result);
    } catch (error) {
      // Create a separate error for each key, because an error names its key.
      for (const key of keys) current.get(key)?.resolve(settle(key, Promise.reject(error)));
    }
  });
  const [answers] = await Promise.all([Promise.all(results), ...batches]);
  return config.readTags ? withExpiry(store, refs, answers, signal) : answers;
}

/** Adds when current values expire. The answer of a read has no tags, so each key costs a further call. */
async function withExpiry(
  { session, config }: Store,
  refs: readonly SourceRef[],
  answers: readonly ReadResult[],
  signal: AbortSignal | undefined,
): Promise<readonly ReadResult[]> {
  const isCurrent = (index: number) => refs[index]?.version === undefined && answers[index]?.kind === 'found';
  const keys = new Set(refs.flatMap(({ key }, index) => (isCurrent(index) ? [key] : [])));
  const expiries = new Map(
    await Promise.all(
      [...keys].map(async (key) => {
        // The value matters more than its tags, so a failure is ignored.
        const description = await orElse(asStoreError(describe(session, key, signal)), () => undefined);
        return [key, description && expiryIn(description.tags, config)] as const;
      }),
    ),
  );
  return answers.map((answer, index) =>
    isCurrent(index) ? { ...answer, ...expiries.get(refs[index]?.key ?? '') } : answer,
  );
}
