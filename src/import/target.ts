import { LabelKey, LabelValue } from '../config/shape/fields.ts';
import { durationText, goDurationMs } from './durations.ts';
import type { Json, Node } from './node.ts';
import type { Notes } from './notes.ts';
import type { Found } from './objects.ts';

/** Where a mapping writes, beside its name and namespace, and the rules of its life. */
export interface Life {
  readonly target: Json;
  readonly rules: Json;
  readonly template: Node | undefined;
}

/** By their `deletionPolicy`; `Retain` is what happens anyway. */
const SOURCE_MISSING = new Map([
  ['Delete', 'delete'],
  ['Merge', 'removeKeys'],
]);

const FOREVER = '3650d';
const MAX_MS = 3650 * 86_400_000;

/** Their `target` and the fields of the specification that say when, and for how long. */
export function lifeOf(spec: Node, found: Pick<Found, 'labels' | 'annotations'>, notes: Notes): Life {
  const target = spec.child('target');
  const template = target?.child('template');
  const creation = target?.text('creationPolicy') ?? 'Owner';
  const deletion = target?.text('deletionPolicy') ?? 'Retain';
  if (target?.has('manifest') === true) {
    target.ignore('manifest');
    notes.lost(
      `${target.path}.manifest`,
      'makes another object than a Secret',
      'Leave this one with the present controller.',
    );
  }
  if (creation === 'None')
    notes.lost(
      'spec.target.creationPolicy',
      'None makes no Secret',
      'Nothing, unless something else reads this object.',
    );
  if (creation === 'CreateOrMerge')
    notes.changed(
      'spec.target.creationPolicy',
      'our keys are added to a Secret that others own, and waited for until it is there (`mode: merge`)',
      "Take `mode: merge` out if the Secret is nobody else's.",
    );
  const isMerge = creation === 'Merge' || creation === 'CreateOrMerge';
  const sourceMissing = SOURCE_MISSING.get(deletion);
  if (sourceMissing !== undefined)
    notes.changed(
      'spec.target.deletionPolicy',
      `\`onSourceMissing: ${sourceMissing}\` takes effect when the absence is proved, and large deletions are held for a person; what was never there fails the mapping, unless it is \`optional\`${sourceMissing === 'delete' ? '; while one source is left, all keys stay' : ''}`,
    );
  const type = template?.text('type');
  return {
    template,
    target: {
      ...(type === undefined ? {} : { type }),
      ...metadataOf(template, found, notes),
      ...(target?.flag('immutable') === true ? { immutable: true } : {}),
      ...(isMerge ? { mode: 'merge' } : {}),
    },
    rules: {
      ...refreshOf(spec, notes),
      // Theirs owns the Secret by a controller reference; it goes in the write that makes the Secret ours.
      ...(isMerge ? {} : { onConflict: creation === 'Orphan' ? 'adopt' : 'adoptAndDropOwner' }),
      ...(sourceMissing === undefined ? {} : missing(sourceMissing)),
    },
  };
}

/** Theirs does not tell what its store could still bring back from what is gone. */
function missing(onSourceMissing: string): Json {
  return { onSourceMissing, softDeletedIsMissing: true };
}

/** Their searches drop what they find no more, whatever their policy says of other sources. */
export function withSearches(spec: Node, rules: Json, notes: Notes): Json {
  const all = spec.children('dataFrom');
  const searches = all.filter((entry) => entry.has('find'));
  if (rules.onSourceMissing !== undefined || searches.length === 0) return rules;
  const isAlone = searches.length === all.length && spec.children('data').length === 0;
  for (const { path } of searches)
    notes.changed(
      `${path}.find`,
      isAlone
        ? 'a key that is found no more goes when the absence of its secret is proved (`onSourceMissing: removeKeys`)'
        : 'a key that is found no more stays, as the other sources are to (`onSourceMissing: keep`); `removeKeys` takes keys out of all of them once their absence is proved',
    );
  return isAlone ? { ...rules, ...missing('removeKeys') } : rules;
}

function refreshOf(spec: Node, notes: Notes): Json {
  const policy = spec.text('refreshPolicy');
  const given = spec.text('refreshInterval') ?? '1h';
  if (spec.has('syncWindows')) {
    spec.ignore('syncWindows');
    notes.changed(
      'spec.syncWindows',
      'there are no windows: a change is written whenever it is seen',
      'Stop the service outside of the windows, if that matters.',
    );
  }
  const ms = goDurationMs(given);
  if (ms === undefined || ms < 0) {
    notes.lost(
      'spec.refreshInterval',
      `\`${given}\` is not a duration`,
      'Correct the object, and import it again.',
    );
    return {};
  }
  if (policy === 'CreatedOnce' || policy === 'OnChange' || ms === 0) {
    const at = policy === 'CreatedOnce' || policy === 'OnChange' ? 'refreshPolicy' : 'refreshInterval';
    notes.changed(
      `spec.${at}`,
      `the Secret is not left alone after its creation: \`refresh: ${FOREVER}\` looks at the store seldom, but a start, a change of the mapping, a hint or a person still bring it into step`,
    );
    return { refresh: FOREVER, ...(policy === 'CreatedOnce' ? { onDrift: 'report' } : {}) };
  }
  return { refresh: durationText(Math.min(ms, MAX_MS)) };
}

/** Of others, who would take the Secret for theirs, or of the machinery that is being left. */
const NOT_OURS =
  /^(?:kubectl\.kubernetes\.io\/|(?:[^/]*\.)?external-secrets\.io\/|(?:[^/]*\.)?secretbridge\.dev\/)/;

function metadataOf(
  template: Node | undefined,
  found: Pick<Found, 'labels' | 'annotations'>,
  notes: Notes,
): Json {
  const metadata = template?.child('metadata');
  if ((metadata?.list('finalizers').length ?? 0) > 0)
    notes.changed(
      'spec.target.template.metadata.finalizers',
      'are not put on the Secret; one that is there stays',
    );
  // Without a template, theirs hands its own labels and annotations on.
  const [labels, annotations] = (['labels', 'annotations'] as const).map((part) => {
    const all: Json = template === undefined ? found[part] : (metadata?.templates(part) ?? {});
    const from = template === undefined ? `metadata.${part}` : `spec.target.template.metadata.${part}`;
    return entriesOf(all, { part, from, notes });
  });
  return {
    ...(labels === undefined || Object.keys(labels).length === 0 ? {} : { labels }),
    ...(annotations === undefined || Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
}

function entriesOf(
  all: Json,
  {
    part,
    from,
    notes,
  }: { readonly part: 'labels' | 'annotations'; readonly from: string; readonly notes: Notes },
): Readonly<Record<string, string>> {
  const kept = Object.entries(all).flatMap(([name, value]): [string, string][] => {
    const text = String(value);
    if (NOT_OURS.test(name)) return [];
    if (name === 'app.kubernetes.io/managed-by' && part === 'labels') {
      notes.changed(`${from}.${name}`, 'says `secretbridge`, as on every Secret of ours');
      return [];
    }
    if (text.includes('{{')) {
      notes.changed(
        `${from}.${name}`,
        'is a template, and stands in no mapping',
        'Write its value by hand if it is always the same.',
      );
      return [];
    }
    const fits =
      LabelKey.safeParse(name).success && (part === 'annotations' || LabelValue.safeParse(text).success);
    if (!fits) notes.changed(`${from}.${name}`, 'is no name or value that Kubernetes takes');
    return fits ? [[name, text]] : [];
  });
  return Object.fromEntries(kept);
}
