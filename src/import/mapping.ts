import { isTargetKey } from '../sync/keys.ts';
import { sourceListOf } from './data-from.ts';
import { createNode, type Json, type Node } from './node.ts';
import type { Notes } from './notes.ts';
import type { Found } from './objects.ts';
import { sourceOf } from './sources.ts';
import type { Store } from './store.ts';
import { lifeOf, withSearches } from './target.ts';
import { type Shape, withTemplate } from './template.ts';

export interface MappingContext {
  readonly name: string;
  readonly notes: Notes;
  readonly found: Pick<Found, 'labels' | 'annotations'>;
  /** Of the ExternalSecret: the Secret's, when it does not say another. */
  readonly secret: string;
  /** `namespace`, `namespaces` or `namespaceSelector`. */
  readonly where: Json;
  /** The store that a reference means; `undefined` if it was not carried over, and then that is noted. */
  readonly storeOf: (ref: Node | undefined, at: string) => Store | undefined;
}

/** The specification of an ExternalSecret as a mapping of ours, as far as it goes. */
export function mappingOf(raw: Json, context: MappingContext): Json | undefined {
  const { name, notes, found, where, storeOf } = context;
  const spec = createNode(raw, 'spec', notes);
  const { target, template, ...life } = lifeOf(spec, found, notes);
  const secret = spec.child('target')?.text('name') ?? context.secret;
  const usual = spec.child('secretStoreRef');
  const sources = sourcesOf(spec, { notes, usual, storeOf });
  const rules = withSearches(spec, life.rules, notes);
  const shape = template === undefined ? sources : withTemplate(sources, template, notes);
  spec.finish();
  const { data, dataFrom } = shape;
  if (Object.keys(data).length + dataFrom.length === 0) {
    if (!notes.incomplete)
      notes.lost(
        'spec',
        'has no source under `data` or `dataFrom`',
        'A Secret without values from a store is better applied as it is.',
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

interface Reading {
  readonly notes: Notes;
  readonly usual: Node | undefined;
  readonly storeOf: MappingContext['storeOf'];
}

function sourcesOf(spec: Node, { notes, usual, storeOf }: Reading): Shape {
  const storeFor = (entry: Node): Store | undefined => {
    const ref = entry.child('sourceRef');
    if (ref?.has('generatorRef') === true) {
      ref.ignore('generatorRef', 'storeRef');
      notes.lost(
        `${ref.path}.generatorRef`,
        'a generator makes values; secretbridge only reads them',
        'Leave this one with the present controller, or let it write the value into a store.',
      );
      return undefined;
    }
    const other = ref?.child('storeRef');
    return other?.has('name') === true ? storeOf(other, other.path) : storeOf(usual, 'spec.secretStoreRef');
  };
  // Every source may name a store of its own.
  usual?.ignore('name', 'kind');
  const dataFrom: Json[] = [];
  for (const entry of spec.children('dataFrom')) {
    const store = storeFor(entry);
    if (store === undefined) entry.ignore('extract', 'find', 'rewrite');
    const made = store && sourceListOf(entry, { notes, store });
    if (made !== undefined) dataFrom.push(made);
  }
  const data = new Map<string, Json>();
  for (const entry of spec.children('data')) {
    const key = entry.text('secretKey') ?? '';
    const ref = entry.child('remoteRef');
    const store = storeFor(entry);
    if (!isTargetKey(key))
      notes.lost(
        `${entry.path}.secretKey`,
        'is no key of a Secret',
        'Correct the object, and import it again.',
      );
    if (ref === undefined) {
      notes.lost(`${entry.path}.remoteRef`, 'is missing', 'Correct the object, and import it again.');
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
    const source = sourceOf(ref, { notes, store });
    if (data.has(key))
      notes.changed(
        `${entry.path}.secretKey`,
        `\`${key}\` is given twice; the last one counts, as it does there`,
      );
    if (source !== undefined) data.set(key, source);
  }
  if (dataFrom.length > 1 || (dataFrom.length > 0 && data.size > 0))
    notes.changed(
      'spec.dataFrom',
      'two sources that give one key are an error here; there the last one counts',
    );
  return { data: Object.fromEntries(data), dataFrom };
}
