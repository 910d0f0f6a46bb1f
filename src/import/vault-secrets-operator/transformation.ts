import { matchesRegExp } from '../../config/shape/fields.ts';
import { append } from '../../core/lists.ts';
import { createNode, type Json, type Node, type Notes } from '../node.ts';
import { labelOf, type ToolObject } from '../objects.ts';
import type { TemplateRoot } from '../template/root.ts';
import { type Shape, withTemplates } from '../template.ts';
import type { NamedObjects } from './objects.ts';

/** The templates and filters of an object, together with those of its SecretTransformations. */
interface Transformation {
  readonly texts: Map<string, string>;
  readonly includes: string[];
  readonly excludes: string[];
}

interface TransformContext {
  readonly object: ToolObject;
  readonly notes: Notes;
  readonly transformations: NamedObjects;
  /** The name of the mapping, for the report of the SecretTransformations. */
  readonly mapping: string;
}

const AT = 'spec.destination.transformation';

/** Converts the transformation of a secret whose fields `source` reads. */
export function transformed(
  node: Node | undefined,
  source: { readonly source: Json; readonly kvVersion: 1 | 2 },
  context: TransformContext,
): Shape {
  const { object, notes } = context;
  const parts = partsOf(node, context);
  const isExcludeRaw = node?.flag('excludeRaw') === true;
  const fields = filtered(source.source, parts, notes);
  const root: TemplateRoot = {
    keys: 'Secrets',
    constants: { Labels: textsOf(object.labels), Annotations: textsOf(object.annotations) },
  };
  const shape = withTemplates(
    fields.shape,
    {
      texts: Object.fromEntries(fields.texts),
      isMerge: !fields.isEmpty,
      at: `${AT}.templates`,
      mergeAt: `${AT}.templates`,
      root,
    },
    notes,
  );
  if (fields.isEmpty && fields.texts.size === 0) return { data: {}, dataFrom: [] };
  return isExcludeRaw ? shape : withRaw(shape, source, notes);
}

function textsOf(all: Json): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [name, String(value)]));
}

/** The sources and templates that the filters leave. */
interface Filtered {
  readonly shape: Shape;
  /** Whether the Secret has only the keys of the templates. */
  readonly isEmpty: boolean;
  readonly texts: ReadonlyMap<string, string>;
}

/** Returns the fields that the filters leave. An empty filter leaves all fields. */
function filtered(source: Json, { texts, includes, excludes }: Transformation, notes: Notes): Filtered {
  const everything = { data: {}, dataFrom: [source] };
  // Templates may use every field, so the fields are left out only in the result.
  if (excludes.some((pattern) => /^\^?\.\*\$?$/.test(pattern)))
    return { shape: everything, isEmpty: true, texts };
  if (includes.length === 0 && excludes.length === 0) {
    if (texts.size > 0) noteCollisions(texts, notes);
    return { shape: everything, isEmpty: false, texts };
  }
  const names = includes.map(namesOf);
  if (includes.length === 0 || names.some((list) => list === undefined)) {
    notes.lost(
      `${AT}.${includes.length === 0 ? 'excludes' : 'includes'}`,
      'selects fields by a pattern, but the fields of the secret are unknown here',
      'List the fields in `includes`, such as `^password$`, and import the object again.',
    );
    return { shape: everything, isEmpty: false, texts };
  }
  if (includes.some((pattern) => !pattern.startsWith('^') || !pattern.endsWith('$')))
    notes.changed(
      `${AT}.includes`,
      'selects only the fields with these names; the operator also selects fields whose names contain them',
      'Add the other fields to `data` of the mapping, if there are any.',
    );
  const kept = [...new Set(names.flatMap((list) => list ?? []))].filter(
    (name) => !excludes.some((pattern) => matchesRegExp(pattern, name)),
  );
  const missing = fieldsOf(texts).filter((name) => !kept.includes(name));
  if (missing.length > 0) return passedOn(source, { kept, missing, texts }, notes);
  const data = Object.fromEntries(kept.map((name) => [name, { ...source, property: name }]));
  return { shape: { data, dataFrom: [] }, isEmpty: false, texts };
}

/** The fields of the secret that templates use. */
function fieldsOf(texts: ReadonlyMap<string, string>): readonly string[] {
  const all = [...texts.values()].join('\n');
  const names = [...all.matchAll(/\.Secrets\.(\w+)|\.Secrets "([^"]+)"/g)];
  return [...new Set(names.map(([, name, quoted]) => name ?? quoted ?? ''))];
}

/** Adds a template for each key that the Secret keeps, because the templates use fields that the Secret lacks. */
function passedOn(
  source: Json,
  {
    kept,
    missing,
    texts,
  }: {
    readonly kept: readonly string[];
    readonly missing: readonly string[];
    readonly texts: ReadonlyMap<string, string>;
  },
  notes: Notes,
): Filtered {
  const passed = kept.filter((name) => !texts.has(name));
  if (passed.length > 0)
    notes.changed(
      `${AT}.templates`,
      `the templates use ${missing.join(', ')}, which the filters leave out; so ${passed.join(', ')} ${passed.length === 1 ? 'passes' : 'pass'} through a template too, and the value must be text (UTF-8)`,
    );
  const more = passed.map((name): [string, string] => [name, `{{ index .Secrets ${JSON.stringify(name)} }}`]);
  return { shape: { data: {}, dataFrom: [source] }, isEmpty: true, texts: new Map([...more, ...texts]) };
}

/** A template that uses the field of its own key surely collides with this field. */
function noteCollisions(texts: ReadonlyMap<string, string>, notes: Notes): void {
  for (const [key, text] of texts)
    if (new RegExp(`\\.Secrets(?:\\.${escaped(key)}\\b| "${escaped(key)}")`).test(text))
      notes.lost(
        `${AT}.templates.${key}`,
        'replaces a field of the secret, and the other fields are unknown here',
        'List the fields that the Secret needs in `includes`, and import the object again.',
      );
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** Returns the names that a pattern of literal names selects. */
function namesOf(pattern: string): readonly string[] | undefined {
  const inner = pattern.replace(/^\^|\$$/g, '').replace(/^\((?:\?:)?(.*)\)$/, '$1');
  const names = inner.split('|').map((name) => name.replace(/\\([.-])/g, '$1'));
  return names.every((name) => /^[\w-]+$/.test(name) || /^[\w.-]+$/.test(name.replaceAll('\\.', '.')))
    ? names
    : undefined;
}

/** Reads the transformation and its references. The first template of a key counts. */
function partsOf(node: Node | undefined, context: TransformContext): Transformation {
  const parts: Transformation = { texts: new Map(), includes: [], excludes: [] };
  if (node === undefined) return parts;
  addTexts(parts, node.child('templates'));
  append(parts.includes, node.list('includes'));
  append(parts.excludes, node.list('excludes'));
  for (const ref of node.children('transformationRefs')) addReference(parts, ref, context);
  return parts;
}

function addReference(parts: Transformation, ref: Node, context: TransformContext): void {
  const { object, notes, transformations, mapping } = context;
  const name = ref.text('name') ?? '';
  const namespace = ref.text('namespace') ?? object.namespace ?? '';
  const chosen = ref.children('templateRefs').map((entry) => ({
    name: entry.text('name') ?? '',
    key: entry.text('keyOverride'),
  }));
  const [ignoresIncludes, ignoresExcludes] = [ref.flag('ignoreIncludes'), ref.flag('ignoreExcludes')];
  const found = transformations.find(name, namespace);
  if (found === undefined) {
    notes.lost(
      ref.path,
      `SecretTransformation ${namespace}/${name} is not in the input`,
      'Import it together with this object.',
    );
    return;
  }
  found.users.add(mapping);
  const spec = createNode(found.object.spec, 'spec', found.notes);
  if (!ignoresIncludes) append(parts.includes, spec.list('includes'));
  if (!ignoresExcludes) append(parts.excludes, spec.list('excludes'));
  if (spec.children('sourceTemplates').length > 0)
    notes.lost(
      `${ref.path}.name`,
      `${labelOf(found.object)} has \`sourceTemplates\`, which other templates include`,
      'Copy their text into the templates that include them, and import the objects again.',
    );
  const templates = spec.child('templates');
  if (chosen.length === 0) addTexts(parts, templates);
  for (const { name: template, key = template } of chosen) {
    const text = templates?.child(template)?.template('text');
    if (text === undefined)
      notes.lost(ref.path, `${labelOf(found.object)} has no template \`${template}\``, FIX);
    else if (!parts.texts.has(key)) parts.texts.set(key, text);
  }
}

const FIX = 'Fix the object, and import it again.';

function addTexts({ texts }: Transformation, templates: Node | undefined): void {
  for (const name of templates?.names() ?? []) {
    const template = templates?.child(name);
    template?.ignore('name');
    const text = template?.template('text');
    if (text !== undefined && !texts.has(name)) texts.set(name, text);
  }
}

/** Reports the fields of a SecretTransformation that the import does not know. */
export function readTransformation({ spec }: ToolObject, notes: Notes): void {
  const node = createNode(spec, 'spec', notes);
  node.ignore('templates', 'sourceTemplates', 'includes', 'excludes');
  node.finish();
}

/** The operator adds the whole answer of Vault as the key `_raw`. */
function withRaw(
  shape: Shape,
  { source, kvVersion }: { readonly source: Json; readonly kvVersion: 1 | 2 },
  notes: Notes,
): Shape {
  if (kvVersion === 2) {
    notes.changed(
      `${AT}.excludeRaw`,
      'is not set, so the operator adds the whole answer of Vault as the key `_raw`; the mapping removes this key',
      'Check that nothing reads `_raw`. Set `excludeRaw: true` before the migration, so that `plan` shows no change.',
    );
    return shape;
  }
  if (shape.template?.only === true) {
    notes.lost(`${AT}.excludeRaw`, 'the key `_raw` cannot stand beside templates', 'Set `excludeRaw: true`.');
    return shape;
  }
  notes.changed(
    `${AT}.excludeRaw`,
    'the key `_raw` is printed as JSON without escaping; the operator writes `<`, `>` and `&` as `\\u003c` and so on',
  );
  return { ...shape, data: { ...shape.data, _raw: source } };
}
