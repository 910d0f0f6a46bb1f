import { AppError } from '../../../core/errors.ts';
import type { Checkpoint, CheckpointPlace } from '../checkpoint.ts';
import { checkpointsIn, lineOf } from '../lines.ts';
import { compareTime } from '../order.ts';

/** What this place needs of a cluster: an object that is replaced only as it was read. */
export interface ConfigMapClient<Stored extends StoredMap = StoredMap> {
  read(): Promise<Stored | undefined>;
  /** `conflict`: somebody was faster, nothing was written. */
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

/** A ConfigMap may have 1 MiB; these have 40 KiB. */
const KEPT = 100;
const ATTEMPTS = 8;

/** The last 100 checkpoints in one key of a ConfigMap. Replicas may write at once: each adds to what it read. */
export function configMapPlace<Stored extends StoredMap>(
  name: string,
  client: ConfigMapClient<Stored>,
): CheckpointPlace {
  return {
    name,
    async write(checkpoint) {
      for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
        const found = await client.read();
        const before = checkpointsIn(found?.data[CHECKPOINTS_KEY] ?? '');
        if (before.some(({ signature }) => signature === checkpoint.signature)) return;
        const lines = [...before, checkpoint].toSorted(compareTime).slice(-KEPT).map(lineOf);
        const data = { ...found?.data, [CHECKPOINTS_KEY]: `${lines.join('\n')}\n` };
        if ((await client.write(data, found)) === 'written') return;
      }
      throw new AppError('CONFLICT', { about: name });
    },
    async rehearse() {
      const found = await client.read();
      await client.write(found?.data ?? {}, found, { dryRun: true });
    },
    async read(): Promise<readonly Checkpoint[]> {
      return checkpointsIn((await client.read())?.data[CHECKPOINTS_KEY] ?? '');
    },
  };
}
