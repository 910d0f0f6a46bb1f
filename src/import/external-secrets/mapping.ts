import { append } from '../../core/lists.ts';
import { isTargetKey } from '../../core/mapping.ts';
import { createNode, type Json, type Node, type Notes } from '../node.ts';
import type { ToolObject } from '../objects.ts';
import type { Store } from '../store.ts';
import type { Shape } from '../template.ts';
import { sourceListOf } from './data-from.ts';
import { type FoundQuery, type Queries, withoutQueries, withQueries } from './queries.ts';
import { queryOf, sourceOf } from './sources.ts';
import { lifeOf, withSearches } from './target.ts';
import { type FindConfigMap, withTemplate } from './templates.ts';
import { windowsOf } from './windows.ts';

export interface MappingContext {
  readonly name: string;
  readonly notes: Notes;
  readonly metadata: Pick<ToolObject, 'labels' | 'annotations'>;
  /** The name of the ExternalSecret. It is the default name of the Secret. */
  readonly secret: string;
  /** The field `namespace`, `namespaces` or `namespaceSelector` of the mapping's target. */
  readonly where: Json;
  readonly configMap: FindConfigMap;
  /** Gets the windows in which the mapping may change. */
  readonly windows: Json[];
  /** Finds the store of a reference. Returns `undefined` and adds a note if the store was not converted. */
  readonly storeOf: (ref: Node | undefined, at: string) => Store | undefined;
}

/** Converts the spec of an ExternalSecret to a mapping, and adds a note for each part that cannot be converted. */
export function mappingOf(raw: Json, context: MappingContext): Json | undefined {
  const { name, notes, metadata, where, storeOf, configMap } = context;
  const spec = createNode(raw, 'spec', notes);
  const { target, template, ...life } = lifeOf(spec, { source: metadata, configMap, notes });
  const secret = spec.child('target')?.text('name') ?? context.secret;
  const defaultStoreRef = spec.child('secretStoreRef');
  const { sources, queries } = sourcesOf(spec, { notes, usual: defaultStoreRef, storeOf });
  const rules = withSearches(spec, life.rules, notes);
  const hasTexts = Object.keys(template?.texts ?? {}).length > 0;
  const plain = (hasTexts ? withoutQueries : withQueries)(sources, queries, notes);
  const shape = template === undefined ? plain : withTemplate(plain, template, notes);
  const { namespace, namespaces = [namespace ?? '*'] } = where;
  const windows = windowsOf(spec, notes);
  append(
    context.windows,
    windows.map((window) => ({ namespaces, mappings: [name], ...window })),
  );
  spec.finish();
  const { data, dataFrom } = shape;
  if (Object.keys(data).length + dataFrom.length === 0) {
    if (!notes.incomplete)
      notes.lost(
        'spec',
        'has no source under `data` or `dataFrom`',
        'Apply a Secret without values from a store directly.',
      );
    return undefined;
  }
  return {
    name,
    target: { ...where, secret, ...target },
    ...(Object.keys(data).length === 0 ? {} : { data }),
    ...(dataFrom.length === 0 ? {} : { dataFrom }),
    ...(shape.template === undefined ? {} : { template: shape.template }),
    ...rules,
  };
}

interface SourcesContext {
  readonly notes: Notes;
  readonly usual: Node | undefined;
  readonly storeOf: MappingContext['storeOf'];
}

/** Returns the store of one source. A source can name another store than the ExternalSecret names. */
function storeForEntry(
  entry: Node,
  { notes, usual: defaultStoreRef, storeOf }: SourcesContext,
): Store | undefined {
  const ref = entry.child('sourceRef');
  if (ref?.has('generatorRef') === true) {
    ref.ignore('generatorRef', 'storeRef');
    notes.lost(
      `${ref.path}.generatorRef`,
      'a generator creates values, but secretbridge only reads them',
      'Keep this object with External Secrets, or let it write the value into a store.',
    );
    return undefined;
  }
  const other = ref?.child('storeRef');
  return other?.has('name') === true
    ? storeOf(other, other.path)
    : storeOf(defaultStoreRef, 'spec.secretStoreRef');
}

function sourcesOf(
  spec: Node,
  { notes, usual: defaultStoreRef, storeOf }: SourcesContext,
): { readonly sources: Shape; readonly queries: Queries } {
  const storeFor = (entry: Node) => storeForEntry(entry, { notes, usual: defaultStoreRef, storeOf });
  // Do not report the default store as unread, even if each source names its own store.
  defaultStoreRef?.ignore('name', 'kind');
  const dataFrom: Json[] = [];
  for (const entry of spec.children('dataFrom')) {
    const store = storeFor(entry);
    if (store === undefined) entry.ignore('extract', 'find', 'rewrite');
    const sourceList = store && sourceListOf(entry, { notes, store });
    if (sourceList !== undefined) dataFrom.push(sourceList);
  }
  const data = new Map<string, Json>();
  const queries = new Map<string, FoundQuery>();
  for (const entry of spec.children('data')) {
    const key = entry.text('secretKey') ?? '';
    const ref = entry.child('remoteRef');
    const store = storeFor(entry);
    if (!isTargetKey(key))
      notes.lost(
        `${entry.path}.secretKey`,
        'is not a valid key of a Secret',
        'Fix the object, and import it again.',
      );
    if (ref === undefined) {
      notes.lost(`${entry.path}.remoteRef`, 'is missing', 'Fix the object, and import it again.');
      continue;
    }
    if (store === undefined) {
      ref.ignore(
        'key',
        'property',
        'version',
        'decodingStrategy',
        'conversionStrategy',
        'metadataPolicy',
        'nullBytePolicy',
      );
      continue;
    }
    const query = queryOf(ref);
    const source = sourceOf(ref, { notes, store, query });
    if (data.has(key))
      notes.changed(
        `${entry.path}.secretKey`,
        `\`${key}\` is set twice; the last one counts, as in External Secrets`,
      );
    if (source !== undefined) data.set(key, source);
    if (query === undefined) queries.delete(key);
    else queries.set(key, { query, at: `${ref.path}.property` });
  }
  if (dataFrom.length > 1 || (dataFrom.length > 0 && data.size > 0))
    notes.changed(
      'spec.dataFrom',
      'two sources with the same key are an error; in External Secrets the last one counts',
    );
  return { sources: { data: Object.fromEntries(data), dataFrom }, queries };
}
