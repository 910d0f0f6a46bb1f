import { parseObject } from '../core/json.ts';
import type { LiveSecret, SecretManifest } from '../core/secret.ts';
import { compareText } from '../core/target.ts';
import { isMark } from './marks.ts';

// A Secret that is made anew takes along what others put on it. The cluster notes whoever writes a field last, so that
// all of it counts as ours from then on; an annotation says what is not.

const CARRIED = 'secretbridge.dev/carried';

const PARTS = ['labels', 'annotations'] as const;
type Names = Readonly<Record<(typeof PARTS)[number], readonly string[]>>;

/** What `kubectl apply` noted, values included. We write no value into an annotation, least of all one that is past. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** Those that we hold only because we made the Secret anew. */
function carriedIn({ annotations }: LiveSecret): Names {
  const said = parseObject(annotations[CARRIED]) ?? {};
  const namesIn = (part: keyof Names): readonly string[] => {
    const names = said[part];
    return Array.isArray(names) ? names.filter((name): name is string => typeof name === 'string') : [];
  };
  return { labels: namesIn('labels'), annotations: [...namesIn('annotations'), CARRIED] };
}

/** What we once set and no longer want; what others set is none of our business. */
export function noLongerWanted(
  live: LiveSecret,
  wanted: Pick<SecretManifest, keyof Names>,
  part: keyof Names,
): readonly string[] {
  const carried = carriedIn(live)[part];
  return (live.ours?.[part] ?? []).filter(
    (name) => !Object.hasOwn(wanted[part], name) && !carried.includes(name),
  );
}

/** What is to be made in the place of a Secret, with all that others have put there. */
export function carrying(live: LiveSecret, manifest: SecretManifest): SecretManifest {
  const theirs = (part: keyof Names): readonly string[] => {
    const ours = [...Object.keys(manifest[part]), ...noLongerWanted(live, manifest, part)];
    const isLeft = (name: string): boolean =>
      isMark(name) || name.includes('.secretbridge.dev/') || name === LAST_APPLIED;
    return Object.keys(live[part])
      .filter((name) => !ours.includes(name) && !isLeft(name))
      .sort(compareText);
  };
  const names: Names = { labels: theirs('labels'), annotations: theirs('annotations') };
  if (PARTS.every((part) => names[part].length === 0)) return manifest;
  const taken = (part: keyof Names) =>
    Object.fromEntries(names[part].map((name) => [name, live[part][name] ?? '']));
  return {
    ...manifest,
    labels: { ...taken('labels'), ...manifest.labels },
    annotations: { ...taken('annotations'), ...manifest.annotations, [CARRIED]: JSON.stringify(names) },
  };
}
