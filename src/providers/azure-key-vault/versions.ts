import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import type { StampedVersion } from '../../core/reading.ts';
import { asDate, createdAt } from '../created-at.ts';
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
   * @param read `date`: the server's clock at the reading, as its header has it.
   * @returns What a list shows while this is current; undefined where that cannot be told apart from a later change.
   */
  note(
    name: string,
    read: { version: string; updatedOn: Date; date: string | undefined },
  ): string | undefined;
  get(name: string): StampedVersion | undefined;
  /** Takes what is on record of keys that were not read here. Asked for once, unless that fails. */
  recall(
    names: readonly string[],
    recall: NonNullable<VersionOptions['recall']>,
    signal: AbortSignal | undefined,
  ): Promise<void>;
}

/** A second change in the same second would look like the first one, so a reading must be later than that. */
const SETTLED_MS = 2_000;

/** So many keys are recalled at a time: the record has others to answer. */
const RECALLED_AT_ONCE = 25;

export function createSeen(): Seen {
  // Names are the same in any case of their letters.
  const byName = new Map<string, StampedVersion | undefined>();
  return {
    note(name, { version, updatedOn, date }) {
      // By the server's clock alone: ours may be ahead of it.
      const age = Date.parse(date ?? '') - updatedOn.getTime();
      const stamp = age >= SETTLED_MS ? stampOf(updatedOn) : undefined;
      byName.set(name.toLowerCase(), stamp === undefined ? undefined : { version, stamp });
      return stamp;
    },
    get: (name) => byName.get(name.toLowerCase()),
    async recall(names, recall, signal) {
      const unread = names.filter((name) => !byName.has(name.toLowerCase()));
      for (let start = 0; start < unread.length; start += RECALLED_AT_ONCE) {
        await nextTurn();
        signal?.throwIfAborted();
        const part = unread.slice(start, start + RECALLED_AT_ONCE);
        const recalled = await Promise.all(
          part.map(async (name) => [name.toLowerCase(), await recall(name)] as const),
        );
        // What was read meanwhile is newer.
        for (const [id, version] of recalled) if (!byName.has(id)) byName.set(id, version);
      }
    },
  };
}

/** Undefined for what is no time. */
function stampOf(updatedOn: Date | undefined): string | undefined {
  return asDate(updatedOn)?.toISOString();
}

/** What a list shows of a secret. */
interface Found {
  readonly stamp: string;
  readonly times: { readonly createdAt?: number };
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
    const all = new Set(keys.map((key) => key.toLowerCase())).size;
    // Those of a group of keys are asked for together, always the same ones.
    const name = String(all);
    const mayList = all > 1 && lists.areWorth(name, all - 1);
    if (mayList && recall !== undefined) await seen.recall(keys, recall, signal);
    const wanted = new Set(keys.filter((key) => seen.get(key) !== undefined).map((key) => key.toLowerCase()));
    if (!mayList || wanted.size < 2) {
      if (all > 0) onWay?.({ way: 'read', keys: all, calls: all });
      return keys.map((): VersionResult => ({ kind: 'unknown' }));
    }
    const found = new Map<string, Found>();
    const { pages, complete } = await list(found, wanted, signal);
    const results = keys.map((key): VersionResult => {
      const read = seen.get(key);
      const listed = found.get(key.toLowerCase());
      if (read === undefined || listed?.stamp !== read.stamp) return { kind: 'unknown' };
      return { kind: 'known', version: read.version, ...listed.times };
    });
    // What was changed is read once, what the list does not show each time.
    const unseen = wanted.size - found.size;
    const calls = pages + unseen + (complete || unseen === 0 ? 0 : 1);
    lists.note(name, calls);
    onWay?.({ way: 'list', keys: all, calls });
    return results;
  };

  async function list(
    found: Map<string, Found>,
    wanted: ReadonlySet<string>,
    signal: AbortSignal | undefined,
  ) {
    try {
      return await listSecrets(vault, signal, (items, count) => {
        for (const item of items.slice(-25)) {
          const id = item.name.toLowerCase();
          const stamp = stampOf(item.updatedOn);
          if (wanted.has(id) && item.enabled !== false && stamp !== undefined)
            found.set(id, { stamp, times: createdAt(item.createdOn) });
        }
        return found.size < wanted.size && count + 1 < wanted.size;
      });
    } catch (error) {
      if (error instanceof AppError && error.code === 'ACCESS_DENIED') lists.deny();
      throw error;
    }
  }
}
