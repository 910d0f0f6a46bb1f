import type { SecretMeta } from '../../cluster/cluster.ts';
import type { OwnedFields } from '../../core/secret.ts';
import type { DesiredTarget } from '../../reconcile/targets.ts';
import { ANNOTATION, isOwnName } from '../../sync/ownership-metadata.ts';

/** Maximum number of shared texts. Each is stored once. */
const MAX_SHARED = 50_000;
/** Enough for instance and mapping names, hashes and most lists of sources. */
const MAX_SHARED_LENGTH = 4_096;

type Texts = Readonly<Record<string, string>>;

/**
 * Reduces a target's metadata to the labels and annotations that checks need, because others may add any number of
 * annotations. Equal texts share memory.
 */
export function createMetadataFilter(): (meta: SecretMeta, desired: readonly DesiredTarget[]) => SecretMeta {
  const texts = new Map<string, string>();
  const owned = new Map<string, OwnedFields>();

  const share = <T>(all: Map<string, T>, key: string, value: T): T => {
    const before = all.get(key);
    if (before !== undefined) return before;
    if (key.length > MAX_SHARED_LENGTH) return value;
    if (all.size >= MAX_SHARED) all.clear();
    all.set(key, value);
    return value;
  };
  const shareOwned = (fields: OwnedFields): OwnedFields =>
    share(owned, [fields.labels, fields.annotations, fields.data].join('\n'), fields);
  const filterTexts = (
    all: Texts,
    isNeeded: (name: string) => boolean,
    isShared: (name: string) => boolean,
  ): Texts =>
    Object.fromEntries(
      Object.entries(all).flatMap(([name, value]) =>
        isNeeded(name) ? [[name, isShared(name) ? share(texts, value, value) : value]] : [],
      ),
    );

  return (meta, desired) => {
    const named = (part: 'labels' | 'annotations') => (name: string) =>
      isOwnName(name) || desired.some(({ mapping }) => Object.hasOwn(mapping.target[part], name));
    const { ours } = meta;
    // Most annotations of a mapping with one target differ from those of all other targets.
    const isOne = desired.every(({ mapping }) => mapping.target.namespaces.length === 1);
    return {
      ...meta,
      id: desired[0]?.id ?? meta.id,
      labels: filterTexts(meta.labels, named('labels'), () => true),
      annotations: filterTexts(
        meta.annotations,
        named('annotations'),
        (name) => !isOne || name === ANNOTATION.stores,
      ),
      ours: ours && shareOwned(ours),
    };
  };
}
