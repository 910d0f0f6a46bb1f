import { AppError } from '../../core/errors.ts';
import type { Fingerprint } from '../../core/fingerprint.ts';
import type { Source } from '../../core/mapping.ts';
import type { SecretValue } from '../../core/secret-value.ts';
import type { SecretProvider } from '../../providers/provider.ts';
import { createJsonCache, membersOf, pickValue } from '../../sync/value.ts';

/** A source that has a value, without the value. */
export type ValuePlace = Pick<Source, 'store' | 'key'> & Partial<Pick<Source, 'property' | 'decode'>>;

/** The places of each value of a store. */
export interface StoreValues {
  readonly places: ReadonlyMap<Fingerprint, readonly ValuePlace[]>;
  /** The number of keys that were read. */
  readonly keys: number;
  /** The keys that could not be read, with the code. */
  readonly unreadable: readonly string[];
}

interface ReadOptions {
  readonly store: string;
  readonly path: string;
  readonly fingerprint: (value: SecretValue) => Fingerprint;
  readonly signal: AbortSignal | undefined;
}

/** The number of keys that are read together. Their values are in memory at the same time. */
const BATCH = 50;

/** Reads every key below a path, and keeps only fingerprints of the values. @throws AppError if the search fails */
export async function readStoreValues(provider: SecretProvider, options: ReadOptions): Promise<StoreValues> {
  const { store, path, signal } = options;
  const call = signal === undefined ? {} : { signal };
  const keys = await provider.find({ path, tags: {} }, call);
  const places = new Map<Fingerprint, ValuePlace[]>();
  const unreadable: string[] = [];
  for (let start = 0; start < keys.length; start += BATCH) {
    const batch = keys.slice(start, start + BATCH);
    const results = await provider.read(
      batch.map((key) => ({ key })),
      call,
    );
    for (const [index, result] of results.entries()) {
      const key = batch[index] ?? '';
      if (result.kind === 'found')
        for (const [place, value] of valuesOf({ store, key }, result)) {
          const fingerprint = options.fingerprint(value);
          places.set(fingerprint, [...(places.get(fingerprint) ?? []), place]);
        }
      else if (result.kind === 'failed') unreadable.push(`${key}: ${result.error.code}`);
    }
  }
  return { places, keys: keys.length, unreadable };
}

type Found = Parameters<typeof pickValue>[1];

/** Returns the whole value and its members, each one also decoded. */
function valuesOf(
  { store, key }: Pick<Source, 'store' | 'key'>,
  found: Found,
): readonly (readonly [ValuePlace, SecretValue])[] {
  const source = { store, key, optional: true };
  const parsed = createJsonCache();
  const all: [ValuePlace, SecretValue][] = [[{ store, key }, found.value]];
  try {
    for (const [property, value] of membersOf(source, found, parsed))
      all.push([{ store, key, property }, value]);
  } catch (error) {
    // Most values are no JSON objects.
    if (!(error instanceof AppError)) throw error;
  }
  return all.flatMap(([place, value]) => {
    const decoded = decodedValue(place, value);
    return decoded === undefined
      ? [[place, value] as const]
      : ([
          [place, value],
          [{ ...place, decode: 'base64' }, decoded],
        ] as const);
  });
}

function decodedValue(place: ValuePlace, value: SecretValue): SecretValue | undefined {
  try {
    return pickValue({ store: place.store, key: place.key, optional: true, decode: 'base64' }, { value });
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
  }
}
