import { checkTemplate } from '../sync/template/compile.ts';
import { unusedName } from './key-data.ts';
import type { Json, Notes } from './node.ts';
import { Untranslatable } from './template/lex.ts';
import { parseTemplateAt, type TemplateRoot } from './template/root.ts';
import { translateTemplate } from './template/translate.ts';
import { keyName } from './template/value.ts';

/** The data sources of a mapping. */
export interface Shape {
  readonly data: Readonly<Record<string, Json>>;
  readonly dataFrom: readonly Json[];
  readonly template?: { readonly data: Readonly<Record<string, string>>; readonly only?: true };
}

/** The templates of one Secret. */
export interface Templates {
  /** The Go template of each key. */
  readonly texts: Readonly<Record<string, string>>;
  /** Whether the Secret also gets the keys of the sources. */
  readonly isMerge: boolean;
  /** The path of the templates, for notes. */
  readonly at: string;
  /** The path of the field that decides about `isMerge`, for notes. */
  readonly mergeAt: string;
  readonly root?: TemplateRoot;
}

const BY_HAND = 'Write the template by hand; see docs/reference/values.md for the template language.';

/**
 * Converts templates. In other tools, a template may set a key that a source also sets. A mapping does not allow such a
 * template. So if only templates use a source, this source gets another name.
 */
export function withTemplates(sources: Shape, templates: Templates, notes: Notes): Shape {
  const { texts, isMerge, at, mergeAt, root } = templates;
  const isPartial = notes.incomplete;
  const keys = Object.keys(texts);
  if (keys.length === 0) return sources;
  const direct = isMerge ? undefined : withoutTemplate(sources, templates);
  if (direct !== undefined) return direct;

  const where = (key: string) => `${at}.${key}`;
  const uses = noteTranslations(templates, notes);
  const plan = arrange(sources, { keys, uses, isMerge });
  if (plan === undefined) {
    notes.lost(
      at,
      'a template sets a key of a source, and the other keys of that source are unknown',
      'List each key under `data`, and use different names for sources and templates.',
    );
    return sources;
  }
  if (isMerge && sources.dataFrom.length > 0)
    notes.changed(
      mergeAt,
      'a key from both a source and a template is an error; in the other tool the template wins',
    );
  if (plan.passed.length > 0)
    notes.changed(
      mergeAt,
      `${plan.passed.join(', ')} ${plan.passed.length === 1 ? 'passes' : 'pass'} through a template, so the value must be text (UTF-8)`,
    );
  const translated = renamedTemplates(texts, plan, root);
  // The names of sources are only known if no source finds its keys at run time and all sources could be converted.
  const allKnown = plan.shape.dataFrom.length === 0 && !isPartial;
  const knownNames = allKnown ? Object.keys(plan.shape.data) : undefined;
  for (const [key, text] of Object.entries(translated)) {
    const problem = text === '' ? undefined : checkTemplate(text, knownNames);
    if (problem !== undefined) notes.lost(where(key), `line ${problem.line}: ${problem.message}`, BY_HAND);
  }
  return { ...plan.shape, template: { data: translated, ...(plan.only ? { only: true } : {}) } };
}

/** Adds a note about each part that the translation loses or changes. Returns the names that the templates use. */
function noteTranslations({ texts, at, root }: Templates, notes: Notes): ReadonlySet<string> {
  const uses = new Set<string>();
  for (const [key, text] of Object.entries(texts)) {
    const result = translateTemplate(text, { root });
    if (result.kind === 'lost')
      for (const { line, message } of result.problems)
        notes.lost(`${at}.${key}`, `line ${line}: ${message}`, BY_HAND);
    else {
      for (const name of result.value.uses) uses.add(name);
      for (const { what, todo } of result.value.notes) notes.changed(`${at}.${key}`, what, todo);
    }
  }
  return uses;
}

function renamedTemplates(
  texts: Readonly<Record<string, string>>,
  { rename, passed }: Arrangement,
  root: TemplateRoot | undefined,
): Readonly<Record<string, string>> {
  const translated = Object.entries(texts).map(([key, text]): [string, string] => {
    const result = translateTemplate(text, { rename, root });
    return [key, result.kind === 'done' ? result.value.text : ''];
  });
  const passing = passed.map((key): [string, string] => [key, `{{ ${keyName(rename(key))} }}`]);
  return Object.fromEntries([...translated, ...passing]);
}

interface ArrangeOptions {
  readonly keys: readonly string[];
  readonly uses: ReadonlySet<string>;
  readonly isMerge: boolean;
}

interface Arrangement {
  readonly shape: Shape;
  readonly only: boolean;
  readonly rename: (name: string) => string;
  /** Keys that no template sets. Each of them gets a template that copies the value unchanged. */
  readonly passed: readonly string[];
}

function arrange(shape: Shape, { keys, uses, isMerge }: ArrangeOptions): Arrangement | undefined {
  const sources = isMerge ? shape : expandMembers(shape, uses);
  const names = Object.keys(sources.data);
  const clashing = names.filter((name) => keys.includes(name));
  const hasMany = sources.dataFrom.length > 0;
  if (isMerge && clashing.length === 0)
    return { shape: sources, only: false, rename: (name) => name, passed: [] };
  if (isMerge && hasMany) return undefined;
  const taken = new Set([...names, ...keys]);
  // The keys of an object are unknown here and could collide with a key of a template. So give these keys a prefix.
  const prefix = hasMany ? unusedPrefix([...taken]) : '';
  const renamed = new Map(clashing.map((name) => [name, unusedName(name, taken)]));
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
    // A new template sets this key to the unchanged value of its source. So the source of the key needs another name.
    for (const name of passed) renamed.set(name, unusedName(name, taken));
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

/** Chooses a prefix that no known name starts with. Names get this prefix if they are not known in advance. */
function unusedPrefix(names: readonly string[]): string {
  let candidate = 'source_';
  while (names.some((name) => name.startsWith(candidate))) candidate = `source_${candidate}`;
  return candidate;
}

/** Replaces an object by the members that the templates use. */
function expandMembers(shape: Shape, uses: ReadonlySet<string>): Shape {
  const members = [...uses].filter((name) => !Object.hasOwn(shape.data, name));
  const memberSources = membersOf(shape, members);
  return memberSources === undefined ? shape : { data: { ...shape.data, ...memberSources }, dataFrom: [] };
}

function membersOf(shape: Shape, names: readonly string[]): Readonly<Record<string, Json>> | undefined {
  const [only, ...more] = shape.dataFrom;
  if (only === undefined) return names.length === 0 ? {} : undefined;
  if (more.length > 0 || only.find !== undefined || only.property !== undefined) return undefined;
  const { rename, ...source } = only as { readonly rename?: Json };
  // If members are renamed, their original names are unknown. So they cannot be requested one by one.
  if ((rename?.patterns ?? rename?.case ?? rename?.replace ?? rename?.prefix) !== undefined) return undefined;
  // A `_` may stand for a replaced character, so a name with `_` might not be the original name of the member.
  if (rename?.invalid !== undefined && names.some((name) => name.includes('_'))) return undefined;
  return Object.fromEntries(names.map((name) => [name, { ...source, property: name }]));
}

/**
 * Converts templates that only return a value to plain sources. The template may also decode the value. Plain sources
 * keep binary values intact.
 */
function withoutTemplate(shape: Shape, { texts, root }: Templates): Shape | undefined {
  const data = new Map<string, Json>();
  for (const [key, text] of Object.entries(texts)) {
    const handed = handedOn(text, root);
    if (handed === undefined) return undefined;
    const { name } = handed;
    const source = Object.hasOwn(shape.data, name) ? shape.data[name] : membersOf(shape, [name])?.[name];
    if (source === undefined || (handed.decoded && source.decode !== undefined)) return undefined;
    data.set(key, handed.decoded ? { ...source, decode: 'base64' } : source);
  }
  return { data: Object.fromEntries(data), dataFrom: [] };
}

function handedOn(
  text: string,
  root: TemplateRoot | undefined,
): { readonly name: string; readonly decoded: boolean } | undefined {
  try {
    const [statement, ...more] = parseTemplateAt(text, root);
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
