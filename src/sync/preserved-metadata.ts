import { parseObject } from '../core/json.ts';
import type { LiveSecret, SecretManifest } from '../core/secret.ts';
import { compareText } from '../core/target.ts';
import { isOwnName } from './ownership-metadata.ts';

// A recreated Secret keeps the labels and annotations that others had set. The API server then records us as the
// manager of all fields, so an annotation lists the names that are not ours.

const PRESERVED = 'secretbridge.dev/carried';

const PARTS = ['labels', 'annotations'] as const;
type Names = Readonly<Record<(typeof PARTS)[number], readonly string[]>>;

/**
 * `kubectl apply` writes this annotation, which includes the values. It is not preserved, because we never write a
 * value into an annotation.
 */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** Returns the names that others had set before we recreated the Secret. */
function preservedNames({ annotations }: LiveSecret): Names {
  const recorded = parseObject(annotations[PRESERVED]) ?? {};
  const namesIn = (part: keyof Names): readonly string[] => {
    const names = recorded[part];
    return Array.isArray(names) ? names.filter((name): name is string => typeof name === 'string') : [];
  };
  return { labels: namesIn('labels'), annotations: [...namesIn('annotations'), PRESERVED] };
}

/** Names that we set earlier and no longer want. Names that others set are not included. */
export function obsoleteNames(
  live: LiveSecret,
  desired: Pick<SecretManifest, keyof Names>,
  part: keyof Names,
): readonly string[] {
  const carried = preservedNames(live)[part];
  return (live.ours?.[part] ?? []).filter(
    (name) => !Object.hasOwn(desired[part], name) && !carried.includes(name),
  );
}

/** Adds the labels and annotations that others had set to the manifest of a recreated Secret. */
export function preserveForeignMetadata(live: LiveSecret, manifest: SecretManifest): SecretManifest {
  const foreignNames = (part: keyof Names): readonly string[] => {
    const ownNames = [...Object.keys(manifest[part]), ...obsoleteNames(live, manifest, part)];
    const isExcluded = (name: string): boolean =>
      isOwnName(name) || name.includes('.secretbridge.dev/') || name === LAST_APPLIED;
    return Object.keys(live[part])
      .filter((name) => !ownNames.includes(name) && !isExcluded(name))
      .sort(compareText);
  };
  const names: Names = { labels: foreignNames('labels'), annotations: foreignNames('annotations') };
  if (PARTS.every((part) => names[part].length === 0)) return manifest;
  const valuesOf = (part: keyof Names) =>
    Object.fromEntries(names[part].map((name) => [name, live[part][name] ?? '']));
  return {
    ...manifest,
    labels: { ...valuesOf('labels'), ...manifest.labels },
    annotations: { ...valuesOf('annotations'), ...manifest.annotations, [PRESERVED]: JSON.stringify(names) },
  };
}
