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
  /** As the last run found it; left out before the first one, and then an annotation is to be looked into. */
  readonly pin?: { readonly to: number | undefined } | undefined;
}

/**
 * Whether a target looks as we would leave it, by all that is not content: our marks of this configuration, and nobody
 * else's hand on them or on its content. If not, or if it cannot be told, a full run looks.
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
  // A mark that somebody else wrote last may say anything; what our field manager holds we wrote.
  if (!Object.values(ANNOTATION).every((name) => ours.annotations.includes(name))) return false;
  return ownsItsKeys(meta, ours, mapping);
}

/** A key that somebody took out is ours no longer, and one that came is somebody else's, which is `foreign`. */
function ownsItsKeys(
  { annotations }: SecretMeta,
  { data }: NonNullable<SecretMeta['ours']>,
  { template }: Mapping,
): boolean {
  const text = annotations[ANNOTATION.sources];
  const made = Object.keys(template?.data ?? {});
  const sourced = template?.only ? [] : parseSources(text)?.keys();
  if (sourced !== undefined) return [...sourced, ...made].every((key) => data.includes(key));
  const count = countOfSources(text);
  return count !== undefined && data.length >= count + made.length;
}

/**
 * The version of each reference that a target was made from, by its annotation: `missing` was not there then. One that
 * is left out, the annotation does not tell apart.
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

/** The targets of a mapping in many namespaces say the same, and each is asked for all of its sources. */
const parsedVersions = new WeakMap<
  Mapping,
  { readonly text: string | undefined; readonly versions: Versions }
>();

function parseVersions(text: string | undefined, mapping: Mapping): Versions {
  const written = parseSources(text);
  if (written === undefined) return new Map();
  const made = Map.groupBy(written.values(), ({ store, key }) => `${store} ${key}`);
  const nameOf = ({ store, ref: { key } }: StoreRef) => `${store} ${key}`;
  const refs = refsOf(mapping);
  const refsByKey = Map.groupBy(refs.values(), nameOf);
  const versions = new Map<string, string | 'missing'>();
  for (const [id, ref] of refs) {
    const writtenVersions = new Set((made.get(nameOf(ref)) ?? []).map(({ version }) => version));
    // Two versions of one key in one target: which reference gave which, the annotation does not tell.
    if (writtenVersions.size > 1 || (refsByKey.get(nameOf(ref))?.length ?? 0) > 1) continue;
    const [version = 'missing'] = writtenVersions;
    versions.set(id, version);
  }
  return versions;
}
