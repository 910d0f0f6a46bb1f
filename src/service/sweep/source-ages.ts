import type { Clock } from '../../core/clock.ts';
import type { AppError } from '../../core/errors.ts';
import { largest, smallest } from '../../core/lists.ts';
import type { Mapping, Source } from '../../core/mapping.ts';
import { isCurrentSecretRef } from '../../core/read-result.ts';
import { compareText, type TargetId } from '../../core/target.ts';
import type { Outcome } from '../../reconcile/outcome.ts';
import type { DesiredTarget } from '../../reconcile/targets.ts';
import { refsOf, searchesOf, sourcesOf, storeRef } from '../../sync/desired.ts';
import { ageWarning } from '../../sync/policies.ts';
import type { Logger } from '../../telemetry/logger.ts';

/** A version of a value, with its creation time and the end of its life if the store provides them. */
interface SourceVersion {
  readonly version: string;
  readonly createdAt?: number | undefined;
  readonly expiresAt?: number | null | undefined;
}

/** A source that is older than the mapping's `maxAge`. */
export interface Unrotated {
  readonly mapping: string;
  readonly store: string;
  readonly key: string;
  /** Creation time of the value, in milliseconds since 1970. */
  readonly madeAt: number;
  readonly ageMs: number;
  readonly maxAgeMs: number;
}

type SourceName = Pick<Source, 'store' | 'key'>;

interface KnownSource extends SourceName {
  version: string;
  at: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

/** Tracks the creation times of source values, as reported by the stores. */
export class SourceAges {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #known = new Map<string, KnownSource>();
  /** When sources expire, as their stores tell it. Infinity: never. */
  readonly #expiries = new Map<string, number>();
  /** Keyed by mapping, because a search matches the same keys for all targets of the mapping. */
  readonly #bySearch = new Map<string, readonly KnownSource[]>();
  readonly #warnedAt = new Map<string, number>();
  #cleanedUp: { readonly mappings: readonly Mapping[]; readonly at: number } | undefined;

  constructor({ clock, logger }: { readonly clock: Clock; readonly logger: Logger }) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /**
   * Records a version and its creation time. For the same version the earliest time counts, because a list may show the
   * time of a tag change.
   *
   * @param id The `refId` of the key, if the caller has it. Other maps share this text, to save memory.
   */
  note(store: string, key: string, found: SourceVersion, id = nameOf({ store, key })): void {
    const { version, createdAt, expiresAt } = found;
    if (expiresAt !== undefined) this.#expiries.set(id, expiresAt ?? Number.POSITIVE_INFINITY);
    if (createdAt === undefined) return;
    const before = this.#known.get(id);
    if (before === undefined) this.#known.set(id, { store, key, version, at: createdAt });
    else {
      before.at = before.version === version ? Math.min(before.at, createdAt) : createdAt;
      before.version = version;
    }
  }

  /** Records all sources of a run. For a search, only a run shows which keys match. */
  noteRun(mapping: Mapping, sources: readonly (SourceVersion & SourceName)[]): void {
    // A pinned version or another object type does not show the age of the current value.
    const notCurrent = new Set(
      sourcesOf(mapping)
        .filter((source) => !isCurrentSecretRef(storeRef(source).ref))
        .map(nameOf),
    );
    const refs = refsOf(mapping);
    for (const source of sources) {
      const name = nameOf(source);
      if (!notCurrent.has(name)) this.note(source.store, source.key, source, refs.get(name)?.id);
    }
    if (searches(mapping)) this.#bySearch.set(mapping.name, this.#knownOf(sources));
  }

  /** Returns the time when the newest source of the mapping was created, in milliseconds since 1970. */
  changedAt(mapping: Mapping): number | undefined {
    const times = [...this.#sourcesOf(mapping)].map(({ at }) => at);
    return times.length === 0 ? undefined : largest(times);
  }

  /** Returns the time when the first source of the mapping expires, in milliseconds since 1970. */
  expiresAt(mapping: Mapping): number | undefined {
    const first = this.firstExpiry(mapping) ?? Number.POSITIVE_INFINITY;
    return first === Number.POSITIVE_INFINITY ? undefined : first;
  }

  /** Returns the same, or Infinity if a store tells that none of its sources expires. Undefined: unknown. */
  firstExpiry(mapping: Mapping): number | undefined {
    if (this.#expiries.size === 0) return undefined;
    const found = searches(mapping) ? (this.#bySearch.get(mapping.name) ?? []) : [];
    const times = [...sourcesOf(mapping), ...found].flatMap(
      (source) => this.#expiries.get(nameOf(source)) ?? [],
    );
    return times.length === 0 ? undefined : smallest(times);
  }

  /**
   * Logs a warning for each source older than its mapping's `maxAge`, at most once a day. Returns the sources that it
   * logged.
   */
  warn(mappings: readonly Mapping[]): readonly Unrotated[] {
    const cleanedUp = this.#cleanedUp;
    if (mappings !== cleanedUp?.mappings || this.#clock.now() - cleanedUp.at >= HOUR_MS)
      this.#cleanUp(mappings);
    const unrotated = mappings.flatMap((mapping) => this.#newlyUnrotated(mapping));
    for (const { mapping, store, key, ageMs } of unrotated)
      this.#logger.warn('a source was not rotated for longer than `maxAge`', {
        mapping,
        store,
        key,
        durationMs: ageMs,
      });
    return unrotated.toSorted(
      (a, b) =>
        compareText(a.mapping, b.mapping) || compareText(a.store, b.store) || compareText(a.key, b.key),
    );
  }

  /** Returns a warning if a source of the target is older than the policies for its namespace allow. */
  policyWarning(mapping: Mapping, id: TargetId): readonly AppError[] {
    if (mapping.policies === undefined) return [];
    return ageWarning(mapping, id, this.#sourcesOf(mapping), this.#clock.now());
  }

  /** Adds the warnings about policies to the outcomes of these targets. */
  addWarnings(outcomes: readonly Outcome[], targets: readonly DesiredTarget[]): readonly Outcome[] {
    const limited = targets.filter(({ mapping }) => mapping.policies !== undefined);
    const mappings = new Map(limited.map(({ mapping }) => [mapping.name, mapping]));
    return outcomes.map((outcome) => {
      const { pinned, target, warnings = [] } = outcome;
      // A pinned version does not show the age of the current value.
      const mapping = pinned === undefined ? mappings.get(outcome.mapping) : undefined;
      const added = mapping === undefined ? [] : this.policyWarning(mapping, target);
      return added.length === 0 ? outcome : { ...outcome, warnings: [...warnings, ...added] };
    });
  }

  #newlyUnrotated(mapping: Mapping): readonly Unrotated[] {
    const { name, maxAgeMs } = mapping;
    if (maxAgeMs === undefined) return [];
    const now = this.#clock.now();
    return [...this.#sourcesOf(mapping)].flatMap(({ store, key, at }): Unrotated[] => {
      const id = `${name} ${store} ${key}`;
      if (now - at <= maxAgeMs || now - (this.#warnedAt.get(id) ?? 0) < DAY_MS) return [];
      this.#warnedAt.set(id, now);
      return [{ mapping: name, store, key, madeAt: at, ageMs: now - at, maxAgeMs }];
    });
  }

  /** Removes unused entries. Visits every key, which takes up to 0.1 s for tens of thousands. */
  #cleanUp(mappings: readonly Mapping[]): void {
    const now = this.#clock.now();
    this.#cleanedUp = { mappings, at: now };
    const searching = new Set(mappings.filter(searches).map(({ name }) => name));
    for (const name of this.#bySearch.keys()) if (!searching.has(name)) this.#bySearch.delete(name);
    const used = new Set(mappings.flatMap((mapping) => [...this.#sourcesOf(mapping)]));
    const named = new Set(this.#expiries.size === 0 ? [] : mappings.flatMap(sourcesOf).map(nameOf));
    for (const [id, knownSource] of this.#known) if (!used.has(knownSource)) this.#known.delete(id);
    for (const id of this.#expiries.keys())
      if (!this.#known.has(id) && !named.has(id)) this.#expiries.delete(id);
    for (const [id, at] of this.#warnedAt) if (now - at > DAY_MS) this.#warnedAt.delete(id);
  }

  #sourcesOf(mapping: Mapping): ReadonlySet<KnownSource> {
    const found = searches(mapping) ? this.#bySearch.get(mapping.name) : undefined;
    return new Set([...this.#knownOf(sourcesOf(mapping)), ...(found ?? [])]);
  }

  #knownOf(sources: readonly SourceName[]): readonly KnownSource[] {
    return sources.flatMap((source) => this.#known.get(nameOf(source)) ?? []);
  }
}

function nameOf({ store, key }: SourceName): string {
  return `${store} ${key}`;
}

function searches(mapping: Mapping): boolean {
  return searchesOf(mapping).length > 0;
}
