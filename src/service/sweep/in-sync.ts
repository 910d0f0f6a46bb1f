import type { SecretMeta } from '../../cluster/cluster.ts';
import type { Mapping } from '../../core/mapping.ts';
import type { StoreRef } from '../../core/read-result.ts';
import {
  ANNOTATION,
  configHash,
  countOfSources,
  hasAll,
  LABEL,
  PIN,
  parseSources,
  parseStores,
} from '../../sync/ownership-metadata.ts';
import { refsOf } from './refs.ts';

export interface InSyncInput {
  readonly mapping: Mapping;
  readonly instance: string;
  /** Maps the name of each store to the hash of its definition. */
  readonly stores: ReadonlyMap<string, string>;
  /** The pin that the last run found. Omit it before the first run; then an annotation requires a run. */
  readonly pin?: { readonly to: number | undefined } | undefined;
}

/**
 * Whether the metadata shows the target as in sync: our ownership metadata is current, and no other manager changed it
 * or the data. If not, or if unclear, a full run decides.
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
  return ownsItsKeys(meta, ours, mapping);
}

/** A removed key is no longer in our managed fields. A key added by another manager is reported as `foreign`. */
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
 * The version of each reference in the target's annotation, or `missing` if the source was absent. Omits references
 * that the annotation cannot distinguish.
 */
export function sourceVersionsOf(
  { annotations }: Pick<SecretMeta, 'annotations'>,
  mapping: Mapping,
): ReadonlyMap<string, string | 'missing'> {
  const text = annotations[ANNOTATION.sources];
  const before = parsedVersions.get(mapping);
  if (before !== undefined && before.text === text) return before.versions;
  const versions = parseVersions(text, mapping);
  parsedVersions.set(mapping, { text, versions });
  return versions;
}

type Versions = ReadonlyMap<string, string | 'missing'>;

/**
 * Caches the parsed annotation. The targets of a mapping in many namespaces share it, and each is checked for all of
 * its sources.
 */
const parsedVersions = new WeakMap<
  Mapping,
  { readonly text: string | undefined; readonly versions: Versions }
>();

function parseVersions(text: string | undefined, mapping: Mapping): Versions {
  const written = parseSources(text);
  if (written === undefined) return new Map();
  const writtenByKey = Map.groupBy(written.values(), ({ store, key }) => `${store} ${key}`);
  const nameOf = ({ store, ref: { key } }: StoreRef) => `${store} ${key}`;
  const refs = refsOf(mapping);
  const refsByKey = Map.groupBy(refs.values(), nameOf);
  const versions = new Map<string, string | 'missing'>();
  for (const [id, ref] of refs) {
    const writtenVersions = new Set((writtenByKey.get(nameOf(ref)) ?? []).map(({ version }) => version));
    // The annotation does not say which of several references to one key gave which version.
    if (writtenVersions.size > 1 || (refsByKey.get(nameOf(ref))?.length ?? 0) > 1) continue;
    const [version = 'missing'] = writtenVersions;
    versions.set(id, version);
  }
  return versions;
}
