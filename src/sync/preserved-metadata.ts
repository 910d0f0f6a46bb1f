import { parseObject } from '../core/json.ts';
import type { LiveSecret, SecretManifest } from '../core/secret.ts';
import { compareText } from '../core/target.ts';
import { isOwnName } from './ownership-metadata.ts';

// A Secret that is made anew takes along what others put on it. The cluster notes whoever writes a field last, so that
// all of it counts as ours from then on; an annotation says what is not.

const PRESERVED = 'secretbridge.dev/carried';

const PARTS = ['labels', 'annotations'] as const;
type Names = Readonly<Record<(typeof PARTS)[number], readonly string[]>>;

/** What `kubectl apply` noted, values included. We write no value into an annotation, least of all one that is past. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** Those that we hold only because we made the Secret anew. */
function preservedNames({ annotations }: LiveSecret): Names {
  const recorded = parseObject(annotations[PRESERVED]) ?? {};
  const namesIn = (part: keyof Names): readonly string[] => {
    const names = recorded[part];
    return Array.isArray(names) ? names.filter((name): name is string => typeof name === 'string') : [];
  };
  return { labels: namesIn('labels'), annotations: [...namesIn('annotations'), PRESERVED] };
}

/** What we once set and no longer want; what others set is none of our business. */
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

/** What is to be made in the place of a Secret, with all that others have put there. */
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
