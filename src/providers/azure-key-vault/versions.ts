import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import type { Sighting } from '../../core/reading.ts';
import type { ProviderDeps, VersionOptions, VersionResult } from '../provider.ts';
import { createLists } from '../ways.ts';
import type { KeyVault } from './clients.ts';
import { listSecrets } from './list.ts';

/**
 * A list tells when a secret was last changed, in whole seconds, and never its version. So what was read is
 * remembered: as long as the list shows the same second, the version is the one that was read.
 */
export interface Seen {
  /**
   * @param read `updatedOn` in milliseconds, `date` the server's clock at the reading, as its header has it.
   * @returns What a list shows while this is current; undefined where that cannot be told apart from a later change.
   */
  note(
    name: string,
    read: { version: string; updatedOn: number; date: string | undefined },
  ): string | undefined;
  get(name: string): Sighting | undefined;
  /** Takes what others have read of keys that this has no reading of, asked for once. */
  recall(names: readonly string[], recall: NonNullable<VersionOptions['recall']>): Promise<void>;
}

/** A second change in the same second would look like the first one, so a reading must be later than that. */
const SETTLED_MS = 2_000;

export function createSeen(clock: Clock): Seen {
  // Names are the same in any case of their letters.
  const byName = new Map<string, Sighting | undefined>();
  return {
    note(name, { version, updatedOn, date }) {
      const readAt = Date.parse(date ?? '');
      const age = (Number.isNaN(readAt) ? clock.now() : readAt) - updatedOn;
      const stamp = age < SETTLED_MS ? undefined : stampOf(updatedOn);
      byName.set(name.toLowerCase(), stamp === undefined ? undefined : { version, stamp });
      return stamp;
    },
    get: (name) => byName.get(name.toLowerCase()),
    async recall(names, recall) {
      const unread = names.filter((name) => !byName.has(name.toLowerCase()));
      const recalled = await Promise.all(
        unread.map(async (name) => [name.toLowerCase(), await recall(name)] as const),
      );
      // What was read meanwhile is newer.
      for (const [id, sighting] of recalled) if (!byName.has(id)) byName.set(id, sighting);
    },
  };
}

/** @param updatedOn Milliseconds since 1970. */
function stampOf(updatedOn: number): string {
  return new Date(updatedOn).toISOString();
}

export type TellVersions = (
  keys: readonly string[],
  options: VersionOptions,
) => Promise<readonly VersionResult[]>;

/** Lists no further than reading the keys would cost, and not again what was found to be longer. */
export function createVersions(
  vault: KeyVault,
  { seen, clock, onWay }: { seen: Seen; clock: Clock; onWay?: ProviderDeps['onWay'] },
): TellVersions {
  const lists = createLists(clock);
  return async (keys, { signal, recall }) => {
    if (recall !== undefined) await seen.recall(keys, recall);
    const wanted = new Set(keys.filter((key) => seen.get(key) !== undefined).map((key) => key.toLowerCase()));
    const all = new Set(keys.map((key) => key.toLowerCase())).size;
    // Those of a group of keys are asked for together, always the same ones.
    const name = String(all);
    if (wanted.size < 2 || !lists.areWorth(name, all - 1)) {
      if (all > 0) onWay?.({ way: 'read', keys: all, calls: all });
      return keys.map((): VersionResult => ({ kind: 'unknown' }));
    }
    const found = new Map<string, string>();
    const { pages, complete } = await list(found, wanted, signal);
    const results = keys.map((key): VersionResult => {
      const read = seen.get(key);
      const isSame = read !== undefined && found.get(key.toLowerCase()) === read.stamp;
      return isSame ? { kind: 'known', version: read.version } : { kind: 'unknown' };
    });
    // What was changed is read once, what the list does not show each time.
    const unseen = wanted.size - found.size;
    const calls = pages + unseen + (complete || unseen === 0 ? 0 : 1);
    lists.note(name, calls);
    onWay?.({ way: 'list', keys: all, calls });
    return results;
  };

  async function list(
    found: Map<string, string>,
    wanted: ReadonlySet<string>,
    signal: AbortSignal | undefined,
  ) {
    try {
      return await listSecrets(vault, signal, (items, count) => {
        for (const { name, enabled, updatedOn } of items.slice(-25)) {
          const id = name.toLowerCase();
          if (wanted.has(id) && enabled !== false && updatedOn !== undefined)
            found.set(id, stampOf(updatedOn.getTime()));
        }
        return found.size < wanted.size && count + 1 < wanted.size;
      });
    } catch (error) {
      if (error instanceof AppError && error.code === 'ACCESS_DENIED') lists.deny();
      throw error;
    }
  }
}
