import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import type { StampedVersion } from '../../core/read-result.ts';
import { createdAt, validDate } from '../created-at.ts';
import type { ProviderDeps, VersionOptions, VersionResult } from '../provider.ts';
import { createListCosts } from '../read-strategy.ts';
import type { KeyVault } from './clients.ts';
import { listSecrets } from './list.ts';

/**
 * Remembers the versions that were read. A list contains the time of the last change in whole seconds, but no version.
 * While that time is unchanged, the version is unchanged.
 */
export interface SeenVersions {
  /**
   * @param read `date` is the server's clock at the read, from the response header.
   * @returns The stamp that lists show while this version is current. Undefined if a later change could have the same
   * stamp.
   */
  record(
    name: string,
    read: { version: string; updatedOn: Date; date: string | undefined },
  ): string | undefined;
  get(name: string): StampedVersion | undefined;
  /** Loads recorded versions of keys that this process has not read. Each is loaded once, unless that fails. */
  restore(
    names: readonly string[],
    lastReadVersion: NonNullable<VersionOptions['lastReadVersion']>,
    signal: AbortSignal | undefined,
  ): Promise<void>;
}

/** A second change in the same second has the same stamp, so a read must be at least this much later. */
const MIN_AGE_MS = 2_000;

/** The number of keys to load at a time, so that the audit log can answer others in between. */
const RESTORE_BATCH_SIZE = 25;

export function createSeenVersions(): SeenVersions {
  // Names are case-insensitive.
  const byName = new Map<string, StampedVersion | undefined>();
  return {
    record(name, { version, updatedOn, date }) {
      // Uses only the server's clock, because ours may be ahead.
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
        // A read in the meantime is newer.
        for (const [id, version] of recalled) if (!byName.has(id)) byName.set(id, version);
      }
    },
  };
}

/** Undefined for an invalid time. */
function stampOf(updatedOn: Date | undefined): string | undefined {
  return validDate(updatedOn)?.toISOString();
}

/** A list entry of a secret. */
interface ListedVersion {
  readonly stamp: string;
  readonly times: { readonly createdAt?: number };
}

export type ReportVersions = (
  keys: readonly string[],
  options: VersionOptions,
) => Promise<readonly VersionResult[]>;

/** Stops a list when reading the keys would cost less, and does not repeat a list that was too long. */
export function createVersions(
  vault: KeyVault,
  { seen, clock, onStrategy }: { seen: SeenVersions; clock: Clock; onStrategy?: ProviderDeps['onStrategy'] },
): ReportVersions {
  const lists = createListCosts(clock);
  return async (keys, { signal, lastReadVersion }) => {
    const all = new Set(keys.map((key) => key.toLowerCase())).size;
    // Identifies the group by its size, because each group always has the same keys.
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
    // A changed key is read once, and a key that the list does not show is read each time.
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
