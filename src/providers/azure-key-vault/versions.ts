import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import type { StampedVersion } from '../../core/read-result.ts';
import type { ProviderDeps, VersionOptions, VersionResult } from '../provider.ts';
import { createListCosts } from '../read-strategy.ts';
import { createdAt, expiresAt, validDate } from '../results.ts';
import type { KeyVault } from './clients.ts';
import { listSecrets } from './list.ts';

/**
 * Remembers the versions that were read. A list contains the time of each secret's last change, in whole seconds, but
 * no versions. As long as this time stays the same, the version is also the same.
 */
export interface SeenVersions {
  /**
   * @param read The version that was read. `date` is the server's time at the read, from the response header.
   * @returns The time of change that a list shows while this version is current. Undefined if a later change could have
   * the same time.
   */
  record(
    name: string,
    read: { version: string; updatedOn: Date; date: string | undefined },
  ): string | undefined;
  get(name: string): StampedVersion | undefined;
  /**
   * Loads the recorded versions of keys that this process has not read yet. Loads each key only once, unless loading it
   * fails.
   */
  restore(
    names: readonly string[],
    lastReadVersion: NonNullable<VersionOptions['lastReadVersion']>,
    signal: AbortSignal | undefined,
  ): Promise<void>;
}

/**
 * A version is remembered only if it was at least this old when it was read. A younger version could change again
 * within the same second, so two versions could have the same time.
 */
const MIN_AGE_MS = 2_000;

/** The number of keys to load at a time. Between two batches, others can use the audit log. */
const RESTORE_BATCH_SIZE = 25;

export function createSeenVersions(): SeenVersions {
  // Key Vault ignores the case of names.
  const byName = new Map<string, StampedVersion | undefined>();
  return {
    record(name, { version, updatedOn, date }) {
      // Compare two times of the server, because our own clock may be ahead.
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
        // If the key was read during the load, the version from this read is newer.
        for (const [id, version] of recalled) if (!byName.has(id)) byName.set(id, version);
      }
    },
  };
}

/** Returns the time of change as text. Returns undefined for an invalid time. */
function stampOf(updatedOn: Date | undefined): string | undefined {
  return validDate(updatedOn)?.toISOString();
}

/** A secret in a list. */
interface ListedVersion {
  readonly stamp: string;
  readonly times: { readonly createdAt?: number; readonly expiresAt: number | null };
}

export type ReportVersions = (
  keys: readonly string[],
  options: VersionOptions,
) => Promise<readonly VersionResult[]>;

/**
 * Reports versions by listing all secrets. Stops a list as soon as reading the keys would need fewer requests. If a
 * list was too long, waits a day before the next list.
 */
export function createVersions(
  vault: KeyVault,
  { seen, clock, onStrategy }: { seen: SeenVersions; clock: Clock; onStrategy?: ProviderDeps['onStrategy'] },
): ReportVersions {
  const lists = createListCosts(clock);
  return async (keys, { signal, lastReadVersion }) => {
    const all = new Set(keys.map((key) => key.toLowerCase())).size;
    // The number of keys identifies the group of keys, because the same group is checked each time.
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
    // Add the requests for reads. Count only keys that are missing from the list, because each check reads them. A
    // changed key is read only once.
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
            found.set(id, { stamp, times: { ...createdAt(item.createdOn), ...expiresAt(item.expiresOn) } });
        }
        return found.size < readKeys.size && count + 1 < readKeys.size;
      });
    } catch (error) {
      if (error instanceof AppError && error.code === 'ACCESS_DENIED') lists.recordDenied();
      throw error;
    }
  }
}
