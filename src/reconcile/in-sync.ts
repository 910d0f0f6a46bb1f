import type { SecretMeta } from '../cluster/cluster.ts';
import type { Mapping } from '../core/mapping.ts';
import type { StoreRef } from '../core/read-result.ts';
import { refsOf } from '../sync/desired.ts';
import {
  ANNOTATION,
  configHash,
  countOfSources,
  hasAll,
  LABEL,
  PIN,
  parseSources,
  parseStores,
} from '../sync/ownership-metadata.ts';
import { policyError } from '../sync/policies.ts';

export interface InSyncInput {
  readonly mapping: Mapping;
  readonly instance: string;
  /** Maps each store name to the hash of the store's definition. */
  readonly stores: ReadonlyMap<string, string>;
  /**
   * The pin that the last run found. Leave it out before the first run. Then a target with a pin annotation does not
   * look in sync.
   */
  readonly pin?: { readonly to: number | undefined } | undefined;
}

/**
 * Whether the metadata shows that the target is in sync: our labels and annotations are current, and no other manager
 * changed them or the data, and no policy is violated. Returns false in case of doubt. Then a full run decides.
 */
export function looksInSync(meta: SecretMeta, { mapping, instance, stores, pin }: InSyncInput): boolean {
  const { labels, annotations, ours, foreign, deleting } = meta;
  const { target, onMappingRemoved } = mapping;
  if (target.mode === 'merge' || deleting || ours === undefined || foreign !== false) return false;
  if (labels[LABEL.instance] !== instance || labels[LABEL.mapping] !== mapping.name) return false;
  if (labels[LABEL.managedBy] !== 'secretbridge') return false;
  if (annotations[ANNOTATION.config] !== configHash(mapping)) return false;
  if (annotations[ANNOTATION.onMappingRemoved] !== onMappingRemoved) return false;
  if (annotations[PIN] !== (pin?.to === undefined ? undefined : String(pin.to))) return false;
  const written = parseStores(annotations[ANNOTATION.stores]);
  if (written === undefined || ![...written].every(([name, hash]) => stores.get(name) === hash)) return false;
  if (!hasAll(labels, target.labels) || !hasAll(annotations, target.annotations)) return false;
  // Trust an annotation only if our field manager owns it.
  if (!Object.values(ANNOTATION).every((name) => ours.annotations.includes(name))) return false;
  return ownsItsKeys(meta, ours, mapping) && policyError(mapping, meta.id, ours.data) === undefined;
}

/**
 * Whether our field manager still owns all keys of the target. If somebody removed a key, our managed fields no longer
 * contain it. If another manager added a key, `foreign` is true.
 */
function ownsItsKeys(
  { annotations }: SecretMeta,
  { data }: NonNullable<SecretMeta['ours']>,
  { template }: Mapping,
): boolean {
  const text = annotations[ANNOTATION.sources];
  const templated = Object.keys(template?.data ?? {});
  const sourced = template?.only ? [] : parseSources(text)?.keys();
  if (sourced !== undefined) return [...sourced, ...templated].every((key) => data.includes(key));
  const count = countOfSources(text);
  return count !== undefined && data.length >= count + templated.length;
}

/**
 * Returns the version of each reference according to the target's annotation, or `missing` if the source was absent.
 * Omits references that share one key, because the annotation does not distinguish them.
 */
export function sourceVersionsOf(
  { annotations }: Pick<SecretMeta, 'annotations'>,
  mapping: Mapping,
): ReadonlyMap<string, string | 'missing'> {
  const versions = sourceVersionList({ annotations }, mapping);
  const ids = [...refsOf(mapping).keys()];
  return new Map(
    ids.flatMap((id, index): [string, string][] => {
      const version = versions[index];
      return version === undefined ? [] : [[id, version]];
    }),
  );
}

/** Returns the same versions in the order of `refsOf`. Undefined for a reference that is omitted. */
export function sourceVersionList(
  { annotations }: Pick<SecretMeta, 'annotations'>,
  mapping: Mapping,
): readonly (string | undefined)[] {
  const text = annotations[ANNOTATION.sources];
  const before = parsedVersions.get(mapping);
  if (before !== undefined && before.text === text) return before.versions;
  const versions = parseVersions(text, mapping);
  parsedVersions.set(mapping, { text, versions });
  return versions;
}

/**
 * Caches the last parsed annotation for each mapping, because each target is checked once per source. The targets of a
 * mapping in many namespaces often have identical annotations. Lists take a third of the memory of maps.
 */
const parsedVersions = new WeakMap<
  Mapping,
  { readonly text: string | undefined; readonly versions: readonly (string | undefined)[] }
>();

function parseVersions(text: string | undefined, mapping: Mapping): readonly (string | undefined)[] {
  const written = parseSources(text);
  if (written === undefined) return [];
  const writtenByKey = Map.groupBy(written.values(), ({ store, key }) => `${store} ${key}`);
  const nameOf = ({ store, ref: { key } }: StoreRef) => `${store} ${key}`;
  const refs = refsOf(mapping);
  const refsByKey = Map.groupBy(refs.values(), nameOf);
  return Array.from(refs.values(), (ref) => {
    const writtenVersions = new Set((writtenByKey.get(nameOf(ref)) ?? []).map(({ version }) => version));
    // If several references use one key, the annotation does not show which version belongs to which of them.
    if (writtenVersions.size > 1 || (refsByKey.get(nameOf(ref))?.length ?? 0) > 1) return undefined;
    const [version = 'missing'] = writtenVersions;
    return version;
  });
}
