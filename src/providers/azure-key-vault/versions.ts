import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import type { StampedVersion } from '../../core/read-result.ts';
import type { ProviderDeps, VersionOptions, VersionResult } from '../provider.ts';
import { createListCosts } from '../read-strategy.ts';
import { createdAt, validDate } from '../results.ts';
import type { KeyVault } from './clients.ts';
import { listSecrets } from './list.ts';

/**
 * Remembers which versions were read. Lists contain no versions, but the time of the last change in whole seconds.
 * While this time is unchanged, the version is unchanged too.
 */
export interface SeenVersions {
  /**
   * @param read `date` is the server's time at the read, from the response header.
   * @returns The time of change that lists show while this version is current. Undefined if a later change could show
   * the same time.
   */
  record(
    name: string,
    read: { version: string; updatedOn: Date; date: string | undefined },
  ): string | undefined;
  get(name: string): StampedVersion | undefined;
  /**
   * Loads recorded versions of keys that this process has not read yet. Loads each key only once, unless loading fails.
   */
  restore(
    names: readonly string[],
    lastReadVersion: NonNullable<VersionOptions['lastReadVersion']>,
    signal: AbortSignal | undefined,
  ): Promise<void>;
}

/**
 * The minimum age of a version whose time of change identifies it. A second change in the same second would have the
 * same time.
 */
const MIN_AGE_MS = 2_000;

/** The number of keys to load at a time. Other users of the audit log can run between two batches. */
const RESTORE_BATCH_SIZE = 25;

export function createSeenVersions(): SeenVersions {
  // Names are case-insensitive.
  const byName = new Map<string, StampedVersion | undefined>();
  return {
    record(name, { version, updatedOn, date }) {
      // Compare two server times, because our own clock may be ahead.
      const age = Date.parse(date ?? '') - updatedOn.getTime();
      const stamp = age >= MIN_AGE_MS ? stampOf(updatedOn) : undefined;
      byName.set(name.toLowerCase(), stamp === undefined ? undefined : { version, stamp });
      return stamp;
    },
    get: (name) => byName.get(name.toLowerCase()),
    async restore(names, lastReadVersion, signal) {
      const unread = names.filter((name) => !byName.has(name.toLowerCase()));
      for (let start = 0; start < unread.length; start += RESTORE_BATCH_SIZE) {
        await nextTurn();
        signal?.throwIfAborted();
        const part = unread.slice(start, start + RESTORE_BATCH_SIZE);
        const recalled = await Promise.all(
          part.map(async (name) => [name.toLowerCase(), await lastReadVersion(name)] as const),
        );
        // If the key was read meanwhile, that version is newer.
        for (const [id, version] of recalled) if (!byName.has(id)) byName.set(id, version);
      }
    },
  };
}

/** Returns undefined for an invalid time. */
function stampOf(updatedOn: Date | undefined): string | undefined {
  return validDate(updatedOn)?.toISOString();
}

/** A secret as shown in a list. */
interface ListedVersion {
  readonly stamp: string;
  readonly times: { readonly createdAt?: number };
}

export type ReportVersions = (
  keys: readonly string[],
  options: VersionOptions,
) => Promise<readonly VersionResult[]>;

/**
 * Reports versions by listing all secrets. Stops a list when reading the keys would need fewer requests. A list that
 * was too long is not repeated soon.
 */
export function createVersions(
  vault: KeyVault,
  { seen, clock, onStrategy }: { seen: SeenVersions; clock: Clock; onStrategy?: ProviderDeps['onStrategy'] },
): ReportVersions {
  const lists = createListCosts(clock);
  return async (keys, { signal, lastReadVersion }) => {
    const all = new Set(keys.map((key) => key.toLowerCase())).size;
    // The number of keys is enough to identify the group, because a group always has the same keys.
    const name = String(all);
    const mayList = all > 1 && lists.isWorthListing(name, all - 1);
    if (mayList && lastReadVersion !== undefined) await seen.restore(keys, lastReadVersion, signal);
    const readKeys = new Set(
      keys.filter((key) => seen.get(key) !== undefined).map((key) => key.toLowerCase()),
    );
    if (!mayList || readKeys.size < 2) {
      if (all > 0) onStrategy?.({ way: 'read', keys: all, calls: all });
      return keys.map((): VersionResult => ({ kind: 'unknown' }));
    }
    const found = new Map<string, ListedVersion>();
    const { pages, complete } = await list(found, readKeys, signal);
    const results = keys.map((key): VersionResult => {
      const read = seen.get(key);
      const listed = found.get(key.toLowerCase());
      if (read === undefined || listed?.stamp !== read.stamp) return { kind: 'unknown' };
      return { kind: 'known', version: read.version, ...listed.times };
    });
    // Add the expected reads. A changed key is read once, but a key that the list does not show is read on each check.
    const unlisted = readKeys.size - found.size;
    const calls = pages + unlisted + (complete || unlisted === 0 ? 0 : 1);
    lists.record(name, calls);
    onStrategy?.({ way: 'list', keys: all, calls });
    return results;
  };

  async function list(
    found: Map<string, ListedVersion>,
    readKeys: ReadonlySet<string>,
    signal: AbortSignal | undefined,
  ) {
    try {
      return await listSecrets(vault, signal, (items, count) => {
        for (const item of items.slice(-25)) {
          const id = item.name.toLowerCase();
          const stamp = stampOf(item.updatedOn);
          if (readKeys.has(id) && item.enabled !== false && stamp !== undefined)
            found.set(id, { stamp, times: createdAt(item.createdOn) });
        }
        return found.size < readKeys.size && count + 1 < readKeys.size;
      });
    } catch (error) {
      if (error instanceof AppError && error.code === 'ACCESS_DENIED') lists.recordDenied();
      throw error;
    }
  }
}
