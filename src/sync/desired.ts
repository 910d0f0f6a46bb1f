import { AppError } from '../core/errors.ts';
import { keyCollision, type Mapping, type Search, type Source, type Spread } from '../core/mapping.ts';
import {
  type FoundRead,
  type ReadResult,
  refId,
  type SearchedPlace,
  type StoreRef,
} from '../core/read-result.ts';
import type { SecretValue } from '../core/secret-value.ts';
import { type FoundKeys, foundSource, relativeName } from './find.ts';
import type { TargetSource } from './ownership-metadata.ts';
import { targetKey } from './target-key.ts';
import { createJsonCache, describeSource, membersOf, pickValue } from './value.ts';

/** The desired content of a target. It has no key for an optional source that does not exist. */
export type Desired =
  | {
      readonly kind: 'ready';
      readonly data: ReadonlyMap<string, SecretValue>;
      readonly sources: ReadonlyMap<string, TargetSource>;
      /** Sources that do not exist in the store. They add nothing to `data`. */
      readonly absent: readonly AbsentSource[];
      /** Searches that found nothing although they are not optional. Absent if there are none. */
      readonly fruitless?: readonly Search[];
      /** The creation time of the version of each key, in milliseconds since 1970. Only for stores that return it. */
      readonly createdAt?: ReadonlyMap<string, number>;
      /** When the value of each key expires, as in `ReadResult`. Only for stores that say so. */
      readonly expiresAt?: ReadonlyMap<string, number | null>;
    }
  | { readonly kind: 'failed'; readonly error: AppError };

export interface AbsentSource extends Source {
  readonly place?: SearchedPlace | undefined;
}

export function storeRef({ store, key, version, object }: Source): StoreRef {
  // Most references are like this one, and an object without spread takes less memory.
  if (version === undefined && object === undefined) return { store, ref: { key } };
  return {
    store,
    ref: { key, ...(version === undefined ? {} : { version }), ...(object === undefined ? {} : { object }) },
  };
}

export function sourcesOf(mapping: Mapping): readonly Source[] {
  return [...Object.values(mapping.data), ...mapping.dataFrom.filter(isSpread)];
}

export function searchesOf(mapping: Mapping): readonly Search[] {
  return mapping.dataFrom.filter((entry): entry is Search => !isSpread(entry));
}

export function isSpread(entry: Spread | Search): entry is Spread {
  return 'key' in entry;
}

/**
 * Builds the data of the target from the read results. If one source fails, the whole target fails, because partial
 * data would look like a deletion.
 * @param finds The keys that the searches of the mapping found.
 */
export function shapeDesired(
  mapping: Mapping,
  readings: ReadonlyMap<string, ReadResult>,
  finds: readonly FoundKeys[] = [],
): Desired {
  const builder = new DesiredBuilder(mapping, readings);
  try {
    for (const [key, source] of Object.entries(mapping.data)) builder.addKey(key, source);
    for (const spread of mapping.dataFrom.filter(isSpread)) builder.addMembers(spread);
    for (const { search, keys } of finds) for (const key of keys) builder.addFound(search, key);
    const fruitless = finds.flatMap(({ search, keys }) => (keys.length > 0 || search.optional ? [] : search));
    return { ...builder.desired, ...(fruitless.length === 0 ? {} : { fruitless }) };
  } catch (error) {
    if (error instanceof AppError) return { kind: 'failed', error };
    throw error;
  }
}

class DesiredBuilder {
  readonly #mapping: Mapping;
  readonly #readings: ReadonlyMap<string, ReadResult>;
  readonly #data = new Map<string, SecretValue>();
  readonly #sources = new Map<string, TargetSource>();
  readonly #sourcesByKey = new Map<string, Source>();
  readonly #absent: AbsentSource[] = [];
  readonly #createdAt = new Map<string, number>();
  readonly #expiresAt = new Map<string, number | null>();
  readonly #parsed = createJsonCache();
  /** Maps each reference to the last source that uses it. The parsed JSON is released after that source. */
  readonly #lastUses: ReadonlyMap<string, Source>;

  constructor(mapping: Mapping, readings: ReadonlyMap<string, ReadResult>) {
    this.#mapping = mapping;
    this.#readings = readings;
    this.#lastUses = new Map(sourcesOf(mapping).map((source) => [refId(storeRef(source)), source]));
  }

  get desired(): Extract<Desired, { kind: 'ready' }> {
    const [data, sources, absent] = [this.#data, this.#sources, this.#absent];
    const expiresAt = this.#expiresAt.size === 0 ? {} : { expiresAt: this.#expiresAt };
    return { kind: 'ready', data, sources, absent, createdAt: this.#createdAt, ...expiresAt };
  }

  addKey(key: string, source: Source): void {
    this.#take(source, (result) => {
      const name = targetKey(key, undefined, `mapping ${this.#mapping.name}`);
      this.#put(name, pickValue(source, result, this.#parsed), source, result);
    });
  }

  addMembers(spread: Spread): void {
    this.#take(spread, (result) => {
      for (const [name, value] of membersOf(spread, result, this.#parsed)) {
        const property = spread.property === undefined ? name : `${spread.property}.${name}`;
        const member = { ...spread, property };
        this.#put(targetKey(name, spread.rename, describeSource(member)), value, member, result);
      }
    });
  }

  addFound(search: Search, key: string): void {
    const source = foundSource(search, key);
    this.#take(source, (result) => {
      const name = targetKey(relativeName(search, key) ?? key, search.rename, describeSource(source));
      this.#put(name, pickValue(source, result), source, result);
    });
  }

  #take(source: Source, use: (result: FoundRead) => void): void {
    const ref = refId(storeRef(source));
    const reading = this.#readings.get(ref);
    if (reading === undefined)
      throw new AppError('INTERNAL', { subject: describeSource(source), detail: 'it was not read' });
    if (isMissing(reading, this.#mapping))
      this.#absent.push(
        reading.kind === 'absent' && reading.place !== undefined
          ? { ...source, place: reading.place }
          : source,
      );
    else if (reading.kind === 'failed') throw reading.error.withSubject(describeSource(source));
    else if (reading.kind === 'found') {
      optionally(source, () => use(reading));
      if (this.#lastUses.get(ref) === source) this.#parsed.forget(reading);
    }
  }

  #put(key: string, value: SecretValue, source: Source, { version, createdAt, expiresAt }: FoundRead): void {
    const other = this.#sourcesByKey.get(key);
    if (other !== undefined) throw keyCollision(key, describeSource(other), describeSource(source));
    this.#sourcesByKey.set(key, source);
    this.#data.set(key, value);
    this.#sources.set(key, toTargetSource(source, version));
    if (createdAt !== undefined) this.#createdAt.set(key, createdAt);
    if (expiresAt !== undefined) this.#expiresAt.set(key, expiresAt);
  }
}

/** A deleted but recoverable secret counts as absent only if the mapping sets `softDeletedIsMissing`. */
function isMissing(reading: ReadResult, { softDeletedIsMissing }: Mapping): boolean {
  return (
    reading.kind === 'absent' ||
    (softDeletedIsMissing && reading.kind === 'failed' && reading.error.code === 'SOURCE_DELETED')
  );
}

/** `optional` also allows a missing property. */
function optionally(source: Source, use: () => void): void {
  try {
    use();
  } catch (error) {
    if (error instanceof AppError && error.code === 'PROPERTY_MISSING' && source.optional) return;
    throw error;
  }
}

function toTargetSource({ store, key, property }: Source, version: string): TargetSource {
  return { store, key, ...(property === undefined ? {} : { property }), version };
}

/** Returns the reference of a source. All callers share the references that the mapping names, to save memory. */
export function sharedRef(mapping: Mapping, source: Source): StoreRef {
  const ref = storeRef(source);
  return refsOf(mapping).get(refId(ref)) ?? ref;
}

const refsByMapping = new WeakMap<Mapping, ReadonlyMap<string, StoreRef>>();

/**
 * Returns the references of a mapping, by `refId`. Mappings are immutable, so the result is cached and shared by all
 * targets.
 */
export function refsOf(mapping: Mapping): ReadonlyMap<string, StoreRef> {
  const before = refsByMapping.get(mapping);
  if (before !== undefined) return before;
  const refs = new Map(
    sourcesOf(mapping).map((source) => {
      const { store, ref } = storeRef(source);
      const id = refId({ store, ref });
      return [id, { store, ref, id }] as const;
    }),
  );
  refsByMapping.set(mapping, refs);
  return refs;
}
