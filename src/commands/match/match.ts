import { isDistinctive } from '../../core/distinctive.ts';
import type { Fingerprint } from '../../core/fingerprint.ts';
import type { LiveSecret } from '../../core/secret.ts';
import type { SecretValue } from '../../core/secret-value.ts';
import { formatTarget } from '../../core/target.ts';
import type { ValuePlace } from './store-values.ts';

/** What was found for one key of a Secret. Contains names only. */
export type KeyMatch =
  | { readonly kind: 'matched'; readonly place: ValuePlace }
  /** The store has the value in several places, and nothing else shows which one is meant. */
  | { readonly kind: 'several'; readonly places: readonly ValuePlace[] }
  /** The value is short or common, and nothing else shows where it comes from. */
  | { readonly kind: 'common' }
  | { readonly kind: 'missing' };

export interface SecretMatch {
  readonly live: LiveSecret;
  readonly keys: ReadonlyMap<string, KeyMatch>;
}

interface MatchDeps {
  readonly places: ReadonlyMap<Fingerprint, readonly ValuePlace[]>;
  readonly fingerprint: (value: SecretValue) => Fingerprint;
}

/** A value that more Secrets have than this is common, however long it is. */
const MOST_SECRETS = 3;

/** Finds the sources of the keys of Secrets by equal bytes. */
export function matchSecrets(
  secrets: readonly LiveSecret[],
  { places, fingerprint }: MatchDeps,
): readonly SecretMatch[] {
  const fingerprints = new Map(
    secrets.map((live) => [live, new Map([...live.data].map(([key, value]) => [key, fingerprint(value)]))]),
  );
  const users = new Map<Fingerprint, Set<string>>();
  for (const [{ id }, keys] of fingerprints)
    for (const value of keys.values()) {
      const known = users.get(value) ?? new Set();
      users.set(value, known.add(formatTarget(id)));
    }
  return secrets.map((live) => {
    const candidates = [...live.data].map(([key, value]): Candidate => {
      const mark = fingerprints.get(live)?.get(key) ?? '';
      const isCommon = (users.get(mark)?.size ?? 0) > MOST_SECRETS;
      return {
        key,
        places: places.get(mark) ?? [],
        isTelling: !isCommon && isDistinctive(value),
      };
    });
    return { live, keys: matchKeys(candidates) };
  });
}

interface Candidate {
  readonly key: string;
  readonly places: readonly ValuePlace[];
  /** Whether the value alone shows where it comes from. */
  readonly isTelling: boolean;
}

/**
 * Chooses a place for each key. A telling value in one place proves that the Secret uses this key of the store. For the
 * other keys of the Secret, places in proved keys of the store count first.
 */
function matchKeys(candidates: readonly Candidate[]): ReadonlyMap<string, KeyMatch> {
  const proved = new Set(
    candidates.flatMap(({ places, isTelling }) => {
      const keys = [...new Set(places.map(storeKey))];
      return isTelling && keys.length === 1 ? keys : [];
    }),
  );
  return new Map(candidates.map((candidate) => [candidate.key, chosen(candidate, proved)] as const));
}

function chosen({ key, places, isTelling }: Candidate, proved: ReadonlySet<string>): KeyMatch {
  if (places.length === 0) return { kind: 'missing' };
  const near = places.filter((place) => proved.has(storeKey(place)));
  if (!isTelling && near.length === 0) return { kind: 'common' };
  const preferred = near.length > 0 ? near : places;
  const sameName = preferred.filter(({ property }) => property !== undefined && isSameName(property, key));
  // A short value may be in a proved key by chance, so it also needs the same name.
  if (!isTelling && sameName.length === 0) return { kind: 'common' };
  const best = simplest(sameName.length > 0 ? sameName : preferred);
  const [place, ...others] = best;
  return place !== undefined && others.length === 0
    ? { kind: 'matched', place }
    : { kind: 'several', places: best };
}

/** A value that needs no decoding is preferred. */
function simplest(places: readonly ValuePlace[]): readonly ValuePlace[] {
  const plain = places.filter(({ decode }) => decode === undefined);
  return plain.length > 0 ? plain : places;
}

function storeKey({ store, key }: ValuePlace): string {
  return `${store}/${key}`;
}

/** Names often differ only in case and in separators, such as `dbPassword` and `DB_PASSWORD`. */
function isSameName(property: string, key: string): boolean {
  const plain = (name: string) => name.toLowerCase().replace(/[-_.]/g, '');
  return plain(property) === plain(key);
}
