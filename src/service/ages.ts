import type { Clock } from '../core/clock.ts';
import type { Mapping } from '../core/mapping.ts';
import type { Logger } from '../log/logger.ts';
import { sourcesOf } from '../sync/desired.ts';

/** When the values in the stores were made, as far as they have told. */
export interface Ages {
  /** Nothing, where the store does not tell. Of one version the earliest counts: a list may say when its tags were changed. */
  note(
    store: string,
    key: string,
    made: { readonly version: string; readonly createdAt?: number | undefined },
  ): void;
  /** When the source of a mapping that changed last was changed: milliseconds since 1970. */
  changedAt(mapping: Mapping): number | undefined;
  /** Warns, once a day each, of sources that were not rotated for longer than their mapping wants. */
  warn(mappings: readonly Mapping[]): void;
}

const DAY_MS = 86_400_000;

export function createAges({ clock, logger }: { readonly clock: Clock; readonly logger: Logger }): Ages {
  const made = new Map<string, { readonly version: string; readonly at: number }>();
  const warnedAt = new Map<string, number>();
  const timesOf = (mapping: Mapping) =>
    sourcesOf(mapping).flatMap(({ store, key }) => {
      const it = made.get(`${store} ${key}`);
      return it === undefined ? [] : [{ store, key, at: it.at }];
    });
  return {
    note(store, key, { version, createdAt }) {
      if (createdAt === undefined) return;
      const id = `${store} ${key}`;
      const before = made.get(id);
      const at = before?.version === version ? Math.min(before.at, createdAt) : createdAt;
      made.set(id, { version, at });
    },
    changedAt(mapping) {
      const times = timesOf(mapping).map(({ at }) => at);
      return times.length === 0 ? undefined : Math.max(...times);
    },
    warn(mappings) {
      const used = new Set(mappings.flatMap(sourcesOf).map(({ store, key }) => `${store} ${key}`));
      for (const id of made.keys()) if (!used.has(id)) made.delete(id);
      for (const [id, at] of warnedAt) if (clock.now() - at > DAY_MS) warnedAt.delete(id);
      for (const mapping of mappings)
        for (const { store, key, at } of mapping.maxAgeMs === undefined ? [] : timesOf(mapping)) {
          const id = `${mapping.name} ${store} ${key}`;
          const isOld = clock.now() - at > (mapping.maxAgeMs ?? Number.POSITIVE_INFINITY);
          if (!isOld || clock.now() - (warnedAt.get(id) ?? 0) < DAY_MS) continue;
          warnedAt.set(id, clock.now());
          logger.warn('a source was not rotated for longer than `maxAge`', {
            mapping: mapping.name,
            store,
            key,
            durationMs: clock.now() - at,
          });
        }
    },
  };
}
