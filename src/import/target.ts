import { LabelKey, LabelValue } from '../config/shape/fields.ts';
import { DURATION_UNITS } from '../core/clock.ts';
import type { Json, Node, Notes } from './node.ts';
import type { ExternalObject } from './objects.ts';

const UNIT_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/**
 * Parses a Go duration (https://pkg.go.dev/time#ParseDuration) to milliseconds. Returns `undefined` if it is invalid.
 */
function goDurationMs(text: string): number | undefined {
  if (text === '0' || text === '+0' || text === '-0') return 0;
  const [, sign, rest = ''] = /^([+-]?)(.+)$/.exec(text) ?? [];
  if (!/^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.test(rest)) return undefined;
  let sum = 0;
  for (const [, count, unit = ''] of rest.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g))
    sum += Number(count) * (UNIT_NS[unit] ?? 0);
  const ms = Math.round(sum / 1e6);
  return sign === '-' ? -ms : ms;
}

/** Formats a duration with as few units as possible, such as `1h30m`. */
function durationText(ms: number): string {
  const parts: string[] = [];
  let remainingMs = ms;
  for (const [unit, size] of DURATION_UNITS) {
    const count = Math.floor(remainingMs / size);
    if (count > 0) parts.push(`${count}${unit}`);
    remainingMs -= count * size;
  }
  return parts.join('') || '0s';
}

/** The rules of a mapping and the settings of its target. The name and the namespace of the target are not included. */
interface Life {
  readonly target: Json;
  readonly rules: Json;
  readonly template: Node | undefined;
}

/** `onSourceMissing` for each `deletionPolicy`. The default policy, `Retain`, needs no setting. */
const SOURCE_MISSING = new Map([
  ['Delete', 'delete'],
  ['Merge', 'removeKeys'],
]);

const FOREVER = '3650d';
const MAX_MS = 3650 * 86_400_000;

/** Converts `target` and the refresh fields of the spec. */
export function lifeOf(
  spec: Node,
  source: Pick<ExternalObject, 'labels' | 'annotations'>,
  notes: Notes,
): Life {
  const target = spec.child('target');
  const template = target?.child('template');
  const creation = target?.text('creationPolicy') ?? 'Owner';
  const deletion = target?.text('deletionPolicy') ?? 'Retain';
  if (target?.has('manifest') === true) {
    target.ignore('manifest');
    notes.lost(
      `${target.path}.manifest`,
      'creates an object other than a Secret',
      'Keep this object with External Secrets.',
    );
  }
  if (creation === 'None')
    notes.lost(
      'spec.target.creationPolicy',
      'None creates no Secret',
      'No action needed, unless something else reads this object.',
    );
  if (creation === 'CreateOrMerge')
    notes.changed(
      'spec.target.creationPolicy',
      'keys are added to a Secret that others own, once it exists (`mode: merge`)',
      'Remove `mode: merge` if no one else owns the Secret.',
    );
  const isMerge = creation === 'Merge' || creation === 'CreateOrMerge';
  const sourceMissing = SOURCE_MISSING.get(deletion);
  if (sourceMissing !== undefined)
    notes.changed(
      'spec.target.deletionPolicy',
      `\`onSourceMissing: ${sourceMissing}\` takes effect once the absence is proved, and large deletions need approval; a source that never existed fails the mapping, unless it is \`optional\`${sourceMissing === 'delete' ? '; while one source remains, all keys stay' : ''}`,
    );
  const type = template?.text('type');
  return {
    template,
    target: {
      ...(type === undefined ? {} : { type }),
      ...metadataOf(template, source, notes),
      ...(target?.flag('immutable') === true ? { immutable: true } : {}),
      ...(isMerge ? { mode: 'merge' } : {}),
    },
    rules: {
      ...refreshOf(spec, notes),
      // External Secrets owns the Secret through a controller reference. The write that adopts the Secret removes this
      // reference.
      ...(isMerge ? {} : { onConflict: creation === 'Orphan' ? 'adopt' : 'adoptAndDropOwner' }),
      ...(sourceMissing === undefined ? {} : missing(sourceMissing)),
    },
  };
}

/** External Secrets treats soft-deleted values as missing. */
function missing(onSourceMissing: string): Json {
  return { onSourceMissing, softDeletedIsMissing: true };
}

/** In External Secrets, a search removes keys that it no longer finds, regardless of the deletion policy. */
export function withSearches(spec: Node, rules: Json, notes: Notes): Json {
  const all = spec.children('dataFrom');
  const searches = all.filter((entry) => entry.has('find'));
  if (rules.onSourceMissing !== undefined || searches.length === 0) return rules;
  const isAlone = searches.length === all.length && spec.children('data').length === 0;
  for (const { path } of searches)
    notes.changed(
      `${path}.find`,
      isAlone
        ? 'a key that is no longer found is removed once its absence is proved (`onSourceMissing: removeKeys`)'
        : 'a key that is no longer found stays, because the other sources have `onSourceMissing: keep`; `removeKeys` would remove keys of all sources once their absence is proved',
    );
  return isAlone ? { ...rules, ...missing('removeKeys') } : rules;
}

function refreshOf(spec: Node, notes: Notes): Json {
  const policy = spec.text('refreshPolicy');
  const interval = spec.text('refreshInterval') ?? '1h';
  if (spec.has('syncWindows')) {
    spec.ignore('syncWindows');
    notes.changed(
      'spec.syncWindows',
      'there are no sync windows: a detected change is written at once',
      'If the windows matter, stop the service outside of them.',
    );
  }
  const ms = goDurationMs(interval);
  if (ms === undefined || ms < 0) {
    notes.lost(
      'spec.refreshInterval',
      `\`${interval}\` is not a duration`,
      'Fix the object, and import it again.',
    );
    return {};
  }
  if (policy === 'CreatedOnce' || policy === 'OnChange' || ms === 0) {
    const at = policy === 'CreatedOnce' || policy === 'OnChange' ? 'refreshPolicy' : 'refreshInterval';
    notes.changed(
      `spec.${at}`,
      `the Secret is still updated after its creation: \`refresh: ${FOREVER}\` reads the store rarely, but a start, a changed mapping, an event or a person still triggers a sync`,
    );
    return { refresh: FOREVER, ...(policy === 'CreatedOnce' ? { onDrift: 'report' } : {}) };
  }
  return { refresh: durationText(Math.min(ms, MAX_MS)) };
}

/** Leave out labels and annotations that External Secrets set, and those of other tools that would claim the Secret. */
const NOT_OURS =
  /^(?:kubectl\.kubernetes\.io\/|(?:[^/]*\.)?external-secrets\.io\/|(?:[^/]*\.)?secretbridge\.dev\/)/;

function metadataOf(
  template: Node | undefined,
  source: Pick<ExternalObject, 'labels' | 'annotations'>,
  notes: Notes,
): Json {
  const metadata = template?.child('metadata');
  if ((metadata?.list('finalizers').length ?? 0) > 0)
    notes.changed(
      'spec.target.template.metadata.finalizers',
      'are not set on the Secret; existing ones stay',
    );
  // Without a template, External Secrets copies its own labels and annotations.
  const [labels, annotations] = (['labels', 'annotations'] as const).map((part) => {
    const all: Json = template === undefined ? source[part] : (metadata?.templates(part) ?? {});
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
      notes.changed(`${from}.${name}`, 'is `secretbridge`, as on every Secret of secretbridge');
      return [];
    }
    if (text.includes('{{')) {
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
