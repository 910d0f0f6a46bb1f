import { AppError } from '../../../core/errors.ts';
import type { Checkpoint, CheckpointLocation } from '../checkpoint.ts';
import { checkpointLine, parseCheckpoints } from '../lines.ts';
import { compareTime } from '../order.ts';

/**
 * The ConfigMap access that this location needs. A write must return `conflict` if the object has changed since it was
 * read.
 */
export interface ConfigMapClient<Stored extends StoredMap = StoredMap> {
  read(): Promise<Stored | undefined>;
  /** `conflict`: another writer changed the object first, and nothing was written. */
  write(
    data: Readonly<Record<string, string>>,
    read: Stored | undefined,
    options?: { readonly dryRun?: boolean },
  ): Promise<'written' | 'conflict'>;
}

export interface StoredMap {
  readonly data: Readonly<Record<string, string>>;
}

export const CHECKPOINTS_KEY = 'checkpoints.jsonl';

/** 100 checkpoints take about 40 KiB. A ConfigMap may hold 1 MiB. */
const MAX_CHECKPOINTS = 100;
const MAX_ATTEMPTS = 8;

/**
 * Keeps the last 100 checkpoints in one key of a ConfigMap. Replicas may write at the same time: each one adds its
 * checkpoint to the list that it read, and retries after a conflict.
 */
export function configMapLocation<Stored extends StoredMap>(
  name: string,
  client: ConfigMapClient<Stored>,
): CheckpointLocation {
  return {
    name,
    async write(checkpoint) {
      for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
        const configMap = await client.read();
        const before = parseCheckpoints(configMap?.data[CHECKPOINTS_KEY] ?? '');
        if (before.some(({ signature }) => signature === checkpoint.signature)) return;
        const lines = [...before, checkpoint]
          .toSorted(compareTime)
          .slice(-MAX_CHECKPOINTS)
          .map(checkpointLine);
        const data = { ...configMap?.data, [CHECKPOINTS_KEY]: `${lines.join('\n')}\n` };
        if ((await client.write(data, configMap)) === 'written') return;
      }
      throw new AppError('CONFLICT', { subject: name });
    },
    async checkWritable() {
      const configMap = await client.read();
      await client.write(configMap?.data ?? {}, configMap, { dryRun: true });
    },
    async read(): Promise<readonly Checkpoint[]> {
      return parseCheckpoints((await client.read())?.data[CHECKPOINTS_KEY] ?? '');
    },
  };
}
