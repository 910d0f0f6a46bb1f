import { LabelKey, LabelValue } from '../config/shape/fields.ts';
import type { Json, Notes } from './node.ts';

/** Labels and annotations of an object, and where they come from. */
export interface MetadataParts {
  readonly labels: Json;
  readonly annotations: Json;
  /** The path of the parts, without `.labels` and `.annotations`. */
  readonly from: string;
  /** Matches names that the other tool sets itself. */
  readonly ignored?: RegExp;
}

/** Labels and annotations of tools that would claim the Secret. */
const NOT_OURS = /^(?:kubectl\.kubernetes\.io\/|(?:[^/]*\.)?secretbridge\.dev\/)/;

/** Converts labels and annotations for the Secret. Adds a note about each part that is left out. */
export function metadataOf({ labels, annotations, from, ignored }: MetadataParts, notes: Notes): Json {
  const kept = (all: Json, part: 'labels' | 'annotations') =>
    entriesOf(all, { part, from: `${from}.${part}`, ignored, notes });
  const result = { labels: kept(labels, 'labels'), annotations: kept(annotations, 'annotations') };
  return Object.fromEntries(Object.entries(result).filter(([, part]) => Object.keys(part).length > 0));
}

interface EntriesContext {
  readonly part: 'labels' | 'annotations';
  readonly from: string;
  readonly ignored: RegExp | undefined;
  readonly notes: Notes;
}

function entriesOf(
  all: Json,
  { part, from, ignored, notes }: EntriesContext,
): Readonly<Record<string, string>> {
  const kept = Object.entries(all).flatMap(([name, value]): [string, string][] => {
    const text = String(value);
    if (NOT_OURS.test(name) || ignored?.test(name) === true) return [];
    if (name === 'app.kubernetes.io/managed-by' && part === 'labels') {
      notes.changed(`${from}.${name}`, 'is `secretbridge`, as on every Secret of secretbridge');
      return [];
    }
    if (/\{\{|<%/.test(text)) {
      notes.changed(
        `${from}.${name}`,
        'is a template, which a mapping does not support here',
        'If the value is constant, write it by hand.',
      );
      return [];
    }
    const fits =
      LabelKey.safeParse(name).success && (part === 'annotations' || LabelValue.safeParse(text).success);
    if (!fits) notes.changed(`${from}.${name}`, 'is not a valid name or value in Kubernetes');
    return fits ? [[name, text]] : [];
  });
  return Object.fromEntries(kept);
}
