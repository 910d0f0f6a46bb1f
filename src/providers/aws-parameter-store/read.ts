import { AppError } from '../../core/errors.ts';
import { chunks } from '../../core/lists.ts';
import type { ReadResult, SourceRef } from '../../core/read-result.ts';
import { asStoreError } from '../aws/session.ts';
import type { SingleKeys } from '../aws/single-keys.ts';
import type { CallOptions, ProviderDeps } from '../provider.ts';
import { settleRead } from '../results.ts';
import { BATCH_SIZE, readBatch } from './batch.ts';
import type { ParameterStoreConfig } from './config.ts';
import { checkKey, checkVersion, plainName, requireValid } from './keys.ts';
import { type Session, selectorOf, type Wanted } from './value.ts';

export interface Store {
  readonly config: ParameterStoreConfig;
  readonly deps: ProviderDeps;
  readonly session: Session;
  /** The keys that made a batch fail. */
  readonly singles: SingleKeys;
}

/** Reads parameters in batches of ten. Each combination of parameter and version is read only once. */
export async function readAll(
  store: Store,
  refs: readonly SourceRef[],
  { signal }: CallOptions,
): Promise<readonly ReadResult[]> {
  const { session, singles, config, deps } = store;
  const place = { name: `region ${config.region}`, setting: 'region' };
  const settle = async (key: string, read: Promise<ReadResult>): Promise<ReadResult> => {
    const result = await settleRead(deps.name, key, asStoreError(read));
    return result.kind === 'absent' ? { ...result, place } : result;
  };
  const wanted = new Map<string, Wanted>();
  const answers = new Map<string, ReadResult>();
  const results = refs.map((ref) => {
    const { key, version } = ref;
    try {
      checkRef(ref, config.region);
      const id = selectorOf({ key, version });
      wanted.set(id, { key, version });
      return () => answers.get(id);
    } catch (error) {
      const refused = settle(key, Promise.reject(error));
      return () => refused;
    }
  });
  const reads = batchesOf([...wanted.values()], singles).map(async (batch) => {
    const batchResults = await readBatch(batch, { session, singles, settle, signal });
    for (const [index, one] of batch.entries()) {
      const result = batchResults[index];
      if (result !== undefined) answers.set(selectorOf(one), result);
    }
  });
  await Promise.all(reads);
  return Promise.all(
    results.map(async (resultOf) => {
      const result = await resultOf();
      if (result === undefined) throw new Error('a batch must answer each reference');
      return result;
    }),
  );
}

/** @throws AppError CONFIG_INVALID */
function checkRef({ key, version, object }: SourceRef, region: string): void {
  if (object !== undefined && object !== 'secret')
    throw new AppError('CONFIG_INVALID', { detail: '`object` is only supported for Azure Key Vault' });
  requireValid('key', checkKey(key, region));
  if (version !== undefined) requireValid('version', checkVersion(version));
}

/**
 * Divides parameters into batches. A batch contains no parameter twice, because a response need not tell which version
 * was requested.
 */
function batchesOf(all: readonly Wanted[], singles: SingleKeys): readonly (readonly Wanted[])[] {
  const alone = all.filter(({ key }) => singles.has(key)).map((one) => [one]);
  const counts = new Map<string, number>();
  const rounds = Map.groupBy(
    all.filter(({ key }) => !singles.has(key)),
    ({ key }) => {
      const name = plainName(key);
      const round = counts.get(name) ?? 0;
      counts.set(name, round + 1);
      return round;
    },
  );
  return [...alone, ...[...rounds.values()].flatMap((round) => chunks(round, BATCH_SIZE))];
}
