import { createCollector } from './collector.ts';
import { createNotes, type Json, type Notes } from './node.ts';
import { labelOf, type ToolObject } from './objects.ts';
import { configText, type ImportResult } from './result.ts';
import { stepsOf } from './steps.ts';
import { createNames } from './store.ts';

/** What was found for one key of a Secret. */
interface KeyFinding {
  readonly kind: 'matched' | 'several' | 'common' | 'missing';
  /** The source of a matched key. */
  readonly place?: Json;
  /** The places of a value that the store has several times. */
  readonly places?: readonly Json[];
}

/** A Secret of the cluster, by names only. */
export interface FoundSecret {
  readonly namespace: string;
  readonly name: string;
  readonly type: string;
  readonly immutable: boolean;
  /** The objects that own the Secret, such as `ExternalSecret db`. */
  readonly owners: readonly string[];
  readonly keys: ReadonlyMap<string, KeyFinding>;
}

export interface ProposalOptions {
  readonly store: string;
  readonly ownNamespace: string;
  readonly out?: string;
  /** Sentences about keys and namespaces that could not be read. */
  readonly unreadable: readonly string[];
}

/** Proposes a mapping for each Secret whose keys are all in the store. Other Secrets become comments. */
export function proposeMappings(secrets: readonly FoundSecret[], options: ProposalOptions): ImportResult {
  const { store, ownNamespace, unreadable } = options;
  const names = createNames();
  const collector = createCollector(ownNamespace, { stores: new Map(), mappings: new Map() });
  const unrelated: { readonly kind: string; readonly namespace: string; readonly name: string }[] = [];
  for (const secret of secrets) {
    const { namespace, name, owners, keys } = secret;
    if (![...keys.values()].some(({ kind }) => kind === 'matched')) {
      unrelated.push({ kind: 'Secret', namespace, name });
      continue;
    }
    const object = objectOf(secret);
    const notes = createNotes();
    for (const [key, finding] of keys) noteKey(`data.${key}`, { ...finding, store }, notes);
    if (owners.length > 0)
      notes.lost(
        'metadata.ownerReferences',
        `${owners.join(' and ')} ${owners.length === 1 ? 'owns' : 'own'} the Secret, and may write it again`,
        'Import the objects of that tool, or remove the owner first.',
      );
    const mapping = mappingOf(secret, names.take(`${namespace}.${name}`, labelOf(object)));
    collector.add(object, notes, [{ mapping }]);
  }
  const { mappings, drafts } = collector;
  const objects = collector.reports();
  const todo = objects.some(({ outcome }) => outcome === 'notCarried');
  const count = (expected: string) => objects.filter(({ outcome }) => outcome === expected).length;
  return {
    config: configText({
      command: `cluster --store ${store}`,
      stores: [],
      mappings,
      access: undefined,
      drafts,
    }),
    objects,
    others: unrelated,
    unreadable,
    copies: [],
    summary: {
      carried: count('carried'),
      changed: count('changed'),
      notCarried: count('notCarried'),
      skipped: count('skipped'),
    },
    needsPerson: todo || unreadable.length > 0,
    steps: stepsOf({
      own: ownNamespace,
      out: options.out,
      copies: [],
      todo,
      hasStores: mappings.length > 0,
      tool: mappings.length === 0 ? undefined : { stop: STOP, remove: [] },
    }),
  };
}

const STOP = {
  title: 'Stop what wrote these Secrets',
  text: 'Remove the Secrets from scripts, charts and pipelines. Otherwise two writers replace the values of one another.',
  commands: [],
};

function objectOf({ namespace, name }: FoundSecret): ToolObject {
  return {
    kind: 'Secret',
    namespace,
    name,
    labels: {},
    annotations: {},
    spec: {},
    status: {},
    owners: [],
  };
}

function noteKey(
  at: string,
  { kind, places = [], store }: KeyFinding & { store: string },
  notes: Notes,
): void {
  if (kind === 'missing')
    notes.lost(
      at,
      `no key of the store ${store} that was read has this value`,
      'Add the source of this key by hand, or put the value into the store.',
    );
  if (kind === 'common')
    notes.lost(
      at,
      'the value is short or common, so equal values prove nothing',
      'Add the source of this key by hand.',
    );
  if (kind === 'several')
    notes.lost(
      at,
      `several places of the store have this value: ${places.slice(0, MOST_PLACES).map(placeText).join(', ')}${places.length > MOST_PLACES ? ', …' : ''}`,
      'Choose one of them, and add it by hand.',
    );
}

const MOST_PLACES = 5;

function placeText({ key, property }: Json): string {
  return `\`${String(key)}\`${property === undefined ? '' : ` (\`${String(property)}\`)`}`;
}

function mappingOf({ namespace, name, type, immutable, keys }: FoundSecret, mapping: string): Json {
  const data = [...keys].flatMap(([key, { place }]): [string, Json][] =>
    place === undefined ? [] : [[key, place]],
  );
  return {
    name: mapping,
    target: {
      namespace,
      secret: name,
      ...(type === 'Opaque' ? {} : { type }),
      ...(immutable ? { immutable: true } : {}),
    },
    data: Object.fromEntries(data),
    onConflict: 'adopt',
  };
}
