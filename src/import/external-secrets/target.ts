import { goDurationMs, refreshText } from '../duration.ts';
import { metadataOf } from '../metadata.ts';
import type { Json, Node, Notes } from '../node.ts';
import type { ToolObject } from '../objects.ts';
import { type FindConfigMap, type TemplateTexts, templateTexts } from './templates.ts';

/** The rules of a mapping and the settings of its target. The name and the namespace of the target are not included. */
interface Life {
  readonly target: Json;
  readonly rules: Json;
  readonly template: { readonly template: Node; readonly texts: TemplateTexts['data'] } | undefined;
}

interface LifeContext {
  /** The object with the spec. Without a template, the Secret gets its labels and annotations. */
  readonly source: Pick<ToolObject, 'labels' | 'annotations'>;
  readonly configMap: FindConfigMap;
  readonly notes: Notes;
}

/** `onSourceMissing` for each `deletionPolicy`. The default policy, `Retain`, needs no setting. */
const SOURCE_MISSING = new Map([
  ['Delete', 'delete'],
  ['Merge', 'removeKeys'],
]);

const FOREVER = '3650d';

/** Converts `target` and the refresh fields of the spec. */
export function lifeOf(spec: Node, { source, configMap, notes }: LifeContext): Life {
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
  const texts = templateTexts(template, configMap, notes);
  return {
    template: template && { template, texts: texts.data },
    target: {
      ...(type === undefined ? {} : { type }),
      ...targetMetadata(template, { ...texts, source }, notes),
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
  return { refresh: refreshText(ms) };
}

/** Leave out labels and annotations that External Secrets set. */
const ESO_NAMES = /^(?:[^/]*\.)?external-secrets\.io\//;

function targetMetadata(
  template: Node | undefined,
  {
    labels,
    annotations,
    source,
  }: Pick<TemplateTexts, 'labels' | 'annotations'> & Pick<LifeContext, 'source'>,
  notes: Notes,
): Json {
  if ((template?.child('metadata')?.list('finalizers').length ?? 0) > 0)
    notes.changed(
      'spec.target.template.metadata.finalizers',
      'are not set on the Secret; existing ones stay',
    );
  // Without a template, External Secrets copies its own labels and annotations.
  const parts =
    template === undefined
      ? { ...source, from: 'metadata' }
      : { labels, annotations, from: 'spec.target.template.metadata' };
  return metadataOf({ ...parts, ignored: ESO_NAMES }, notes);
}
