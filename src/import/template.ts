import { checkTemplate } from '../sync/template/compile.ts';
import type { Json, Node } from './node.ts';
import type { Notes } from './notes.ts';
import { Untranslatable } from './template/lex.ts';
import { parseTemplate } from './template/parse.ts';
import { translateTemplate } from './template/translate.ts';
import { keyName } from './template/value.ts';

/** What a mapping gets its data from. */
export interface Shape {
  readonly data: Readonly<Record<string, Json>>;
  readonly dataFrom: readonly Json[];
  readonly template?: { readonly data: Readonly<Record<string, string>>; readonly only?: true };
}

const BY_HAND = 'Write the template by hand; what ours can do stands in docs/reference/values.md.';

/**
 * Their templates on top of their sources. A template of ours may not give a key that a source gives, and theirs
 * usually does, so sources that only feed templates get other names.
 */
export function withTemplate(sources: Shape, template: Node, notes: Notes): Shape {
  const isPartial = notes.incomplete;
  const texts = template.templates('data');
  const isMerge = template.text('mergePolicy') === 'Merge';
  const keys = Object.keys(texts);
  for (const from of template.children('templateFrom')) {
    from.ignore('configMap', 'secret', 'target', 'literal', 'valuesDecodingStrategy');
    notes.lost(
      `${template.path}.templateFrom`,
      from.has('literal')
        ? 'a `literal` makes keys that are known only when it is filled in'
        : 'templates in other objects are not read',
      'Put their text into `template.data` of the mapping.',
    );
  }
  if ((template.text('engineVersion') ?? 'v2') !== 'v2') {
    notes.lost(
      `${template.path}.engineVersion`,
      'templates of the first version have other functions',
      BY_HAND,
    );
    return sources;
  }
  if (keys.length === 0) return sources;
  const direct = isMerge ? undefined : withoutTemplate(sources, texts);
  if (direct !== undefined) return direct;

  const where = (key: string) => `${template.path}.data.${key}`;
  const first = keys.map((key) => [key, translateTemplate(texts[key] ?? '')] as const);
  const uses = new Set(first.flatMap(([, result]) => (result.kind === 'done' ? result.value.uses : [])));
  for (const [key, result] of first) {
    if (result.kind === 'lost')
      for (const { line, message } of result.problems)
        notes.lost(where(key), `line ${line}: ${message}`, BY_HAND);
    else for (const { what, todo } of result.value.notes) notes.changed(where(key), what, todo);
  }
  const plan = arrange(sources, { keys, uses, isMerge });
  if (plan === undefined) {
    notes.lost(
      `${template.path}.data`,
      'a template gives a key that a source gives too, and the other keys of that source are not known',
      'Name each key under `data`, and give the sources other names than the templates.',
    );
    return sources;
  }
  if (isMerge && sources.dataFrom.length > 0)
    notes.changed(
      `${template.path}.mergePolicy`,
      'a key that a source and a template give is an error here; there the template has its way',
    );
  const made = Object.fromEntries(
    keys.map((key) => {
      const again = translateTemplate(texts[key] ?? '', { rename: plan.rename });
      return [key, again.kind === 'done' ? again.value.text : ''];
    }),
  );
  if (plan.passed.length > 0)
    notes.changed(
      `${template.path}.mergePolicy`,
      `${plan.passed.join(', ')} ${plan.passed.length === 1 ? 'goes' : 'go'} through a template, so it must be text (UTF-8)`,
    );
  for (const key of plan.passed) made[key] = `{{ ${keyName(plan.rename(key))} }}`;
  // Where a source is missing, so is its name.
  const allKnown = plan.shape.dataFrom.length === 0 && !isPartial;
  const known = allKnown ? Object.keys(plan.shape.data) : undefined;
  for (const [key, text] of Object.entries(made)) {
    const problem = text === '' ? undefined : checkTemplate(text, known);
    if (problem !== undefined) notes.lost(where(key), `line ${problem.line}: ${problem.message}`, BY_HAND);
  }
  return { ...plan.shape, template: { data: made, ...(plan.only ? { only: true } : {}) } };
}

interface Wanted {
  readonly keys: readonly string[];
  readonly uses: ReadonlySet<string>;
  readonly isMerge: boolean;
}

interface Arrangement {
  readonly shape: Shape;
  readonly only: boolean;
  readonly rename: (name: string) => string;
  /** Keys that stay as they are, by a template of their own. */
  readonly passed: readonly string[];
}

function arrange(given: Shape, { keys, uses, isMerge }: Wanted): Arrangement | undefined {
  const sources = isMerge ? given : spelledOut(given, uses);
  const names = Object.keys(sources.data);
  const clashing = names.filter((name) => keys.includes(name));
  const hasMany = sources.dataFrom.length > 0;
  if (isMerge && clashing.length === 0)
    return { shape: sources, only: false, rename: (name) => name, passed: [] };
  if (isMerge && hasMany) return undefined;
  const taken = new Set([...names, ...keys]);
  // What an object gives is not known, and might be what a template gives.
  const prefix = hasMany ? unusedPrefix([...taken]) : '';
  const renamed = new Map(clashing.map((name) => [name, other(name, taken)]));
  const rename = (name: string) => renamed.get(name) ?? (names.includes(name) ? name : `${prefix}${name}`);
  const data = Object.fromEntries(
    Object.entries(sources.data).map(([name, source]) => [rename(name), source]),
  );
  const dataFrom = sources.dataFrom.map((source) => {
    const { rename: naming = {} } = source as { readonly rename?: Json };
    return {
      ...source,
      rename: { ...naming, prefix: `${prefix}${'prefix' in naming ? String(naming.prefix) : ''}` },
    };
  });
  const passed = isMerge ? names.filter((name) => !clashing.includes(name)) : [];
  if (passed.length > 0) {
    // A passed key is a template's now, so its source needs another name as well.
    for (const name of passed) renamed.set(name, other(name, taken));
    return {
      shape: {
        data: Object.fromEntries(
          Object.entries(sources.data).map(([name, source]) => [rename(name), source]),
        ),
        dataFrom: [],
      },
      only: true,
      rename,
      passed,
    };
  }
  return { shape: { data, dataFrom }, only: true, rename, passed };
}

function other(name: string, taken: Set<string>): string {
  let made = `source_${name}`;
  while (taken.has(made)) made = `source_${made}`;
  taken.add(made);
  return made;
}

/** With which no name begins, since what comes behind it is not known. */
function unusedPrefix(names: readonly string[]): string {
  let made = 'source_';
  while (names.some((name) => name.startsWith(made))) made = `source_${made}`;
  return made;
}

/** One object of which templates use some members: those members, each by its name. */
function spelledOut(shape: Shape, uses: ReadonlySet<string>): Shape {
  const members = [...uses].filter((name) => !Object.hasOwn(shape.data, name));
  const found = membersOf(shape, members);
  return found === undefined ? shape : { data: { ...shape.data, ...found }, dataFrom: [] };
}

function membersOf(shape: Shape, names: readonly string[]): Readonly<Record<string, Json>> | undefined {
  const [only, ...more] = shape.dataFrom;
  if (only === undefined) return names.length === 0 ? {} : undefined;
  if (more.length > 0 || only.find !== undefined || only.property !== undefined) return undefined;
  const { rename, ...source } = only as { readonly rename?: Json };
  // Only where a name cannot have been changed on its way.
  if (rename !== undefined && (rename.case !== undefined || rename.prefix !== undefined)) return undefined;
  // A `_` may stand for what was not allowed, and then no member has the name.
  if (rename?.invalid !== undefined && names.some((name) => name.includes('_'))) return undefined;
  return Object.fromEntries(names.map((name) => [name, { ...source, property: name }]));
}

/** Templates that only hand on a value, decoded or not, are sources: bytes then go through unharmed. */
function withoutTemplate(shape: Shape, texts: Readonly<Record<string, string>>): Shape | undefined {
  const data = new Map<string, Json>();
  for (const [key, text] of Object.entries(texts)) {
    const handed = handedOn(text);
    if (handed === undefined) return undefined;
    const { name } = handed;
    const source = Object.hasOwn(shape.data, name) ? shape.data[name] : membersOf(shape, [name])?.[name];
    if (source === undefined || (handed.decoded && source.decode !== undefined)) return undefined;
    data.set(key, handed.decoded ? { ...source, decode: 'base64' } : source);
  }
  return { data: Object.fromEntries(data), dataFrom: [] };
}

function handedOn(text: string): { readonly name: string; readonly decoded: boolean } | undefined {
  try {
    const [statement, ...more] = parseTemplate(text);
    if (statement?.kind !== 'output' || more.length > 0) return undefined;
    let { value } = statement;
    let decoded = false;
    while (
      value.kind === 'call' &&
      value.args.length === 1 &&
      (value.name === 'toString' || (value.name === 'b64dec' && !decoded))
    ) {
      decoded ||= value.name === 'b64dec';
      const [inner] = value.args;
      if (inner === undefined) return undefined;
      value = inner;
    }
    if (value.kind === 'call' && value.name === 'index') {
      const [of, key, ...rest] = value.args;
      const isRoot = of?.kind === 'dot' && of.names.length === 0;
      return isRoot && key?.kind === 'text' && rest.length === 0 ? { name: key.value, decoded } : undefined;
    }
    const [name, ...deeper] = value.kind === 'dot' ? value.names : [];
    return name === undefined || deeper.length > 0 ? undefined : { name, decoded };
  } catch (error) {
    if (error instanceof Untranslatable) return undefined;
    throw error;
  }
}
