import { parse } from 'yaml';
import { isObject } from '../../core/json.ts';
import type { Node, Notes } from '../node.ts';
import type { ConfigMap } from '../objects.ts';
import { type Shape, withTemplates } from '../template.ts';

type Texts = Readonly<Record<string, string>>;

/** The templates of an ExternalSecret: the text of each key, label and annotation. */
export interface TemplateTexts {
  readonly data: Texts;
  readonly labels: Texts;
  readonly annotations: Texts;
}

/** Where an ExternalSecret finds the ConfigMaps with its templates. Undefined: in several namespaces. */
export type FindConfigMap = ((name: string) => ConfigMap | undefined) | undefined;

const COPY = 'Copy their text to `template.data` of the mapping.';

/**
 * Converts `templateFrom`. The text of a ConfigMap is copied. Later entries replace earlier ones, and the fields of the
 * template itself replace both.
 */
export function templateTexts(template: Node | undefined, find: FindConfigMap, notes: Notes): TemplateTexts {
  const metadata = template?.child('metadata');
  const all: Record<keyof TemplateTexts, Record<string, string>> = { data: {}, labels: {}, annotations: {} };
  for (const from of template?.children('templateFrom') ?? []) {
    const place = placeOf(from, notes);
    const texts = textsOf(from, { find, notes });
    if (place === undefined || texts === undefined) continue;
    for (const [key, text] of Object.entries(texts)) {
      const decoded = decodedText(from, text);
      if (decoded === undefined)
        notes.lost(`${from.path}.valuesDecodingStrategy`, 'decodes more than one value of a source', COPY);
      else all[place][key] = decoded;
    }
  }
  return {
    data: { ...all.data, ...template?.templates('data') },
    labels: { ...all.labels, ...metadata?.templates('labels') },
    annotations: { ...all.annotations, ...metadata?.templates('annotations') },
  };
}

/** Converts the templates of an ExternalSecret. @param texts The template of each key. */
export function withTemplate(
  sources: Shape,
  { template, texts }: { readonly template: Node; readonly texts: Readonly<Record<string, string>> },
  notes: Notes,
): Shape {
  const isMerge = template.text('mergePolicy') === 'Merge';
  if ((template.text('engineVersion') ?? 'v2') !== 'v2') {
    notes.lost(
      `${template.path}.engineVersion`,
      'templates of engine version v1 have other functions',
      'Write the template by hand; see docs/reference/values.md for the template language.',
    );
    return sources;
  }
  return withTemplates(
    sources,
    {
      texts,
      isMerge,
      at: `${template.path}.data`,
      mergeAt: `${template.path}.mergePolicy`,
    },
    notes,
  );
}

function placeOf(from: Node, notes: Notes): keyof TemplateTexts | undefined {
  const target = from.text('target')?.toLowerCase() ?? 'data';
  if (target === 'data' || target === 'labels' || target === 'annotations') return target;
  notes.lost(`${from.path}.target`, 'is a field of another object than a Secret', COPY);
  return undefined;
}

interface TextsContext {
  readonly find: FindConfigMap;
  readonly notes: Notes;
}

function textsOf(from: Node, { find, notes }: TextsContext): Texts | undefined {
  if (from.has('secret')) {
    from.ignore('secret', 'valuesDecodingStrategy');
    notes.lost(
      `${from.path}.secret`,
      'templates in Secrets are not read, because their text may be secret',
      COPY,
    );
    return undefined;
  }
  const literal = from.template('literal');
  if (literal !== undefined) return pairsIn(literal, `${from.path}.literal`, notes);
  const ref = from.child('configMap');
  const name = ref?.text('name') ?? '';
  const items = (ref?.children('items') ?? []).map((item) => ({
    at: item.path,
    key: item.text('key') ?? '',
    isMap: item.text('templateAs') === 'KeysAndValues',
  }));
  const found = find?.(name);
  if (ref === undefined || found === undefined) {
    from.ignore('valuesDecodingStrategy');
    const what =
      find === undefined
        ? 'each namespace has a ConfigMap of its own'
        : `ConfigMap \`${name}\` is not in the input`;
    notes.lost(
      `${from.path}.configMap`,
      what,
      find === undefined ? COPY : 'Import it together with this object.',
    );
    return undefined;
  }
  notes.changed(
    ref.path,
    `the text of ConfigMap \`${name}\` is copied: later changes of the ConfigMap have no effect`,
    'Change the text in the mapping from now on.',
  );
  const texts: Record<string, string> = {};
  for (const { at, key, isMap } of items) {
    const text = found.data[key];
    if (text === undefined) notes.lost(at, `ConfigMap \`${name}\` has no key \`${key}\``, COPY);
    else Object.assign(texts, isMap ? pairsIn(text, at, notes) : { [key]: text });
  }
  return texts;
}

/** Marks the place of an action while the rest is read as YAML. The characters are for private use. */
const MARK = /\uE000(\d+)\uE001/g;
/** Actions that span lines, and functions whose effect depends on the YAML around them. */
const NOT_A_VALUE =
  /^\{\{-?\s*(?:if|else|end|range|with|define|block|template|break|continue)\b|:=|indent|[Yy]aml/;

/**
 * Splits a template of keys and values. External Secrets renders the text and then reads it as YAML, so each action must
 * be a part of one value.
 */
function pairsIn(text: string, at: string, notes: Notes): Texts | undefined {
  const pairs = splitPairs(text);
  if (pairs === undefined) notes.lost(at, 'creates keys that are known only after rendering', COPY);
  else if (Object.values(pairs).some((value) => value.includes('{{')))
    notes.changed(
      at,
      'each value is a template of its own; External Secrets reads the rendered text as YAML, so `#`, quotes or line breaks in a value could change the result',
    );
  return pairs;
}

function splitPairs(text: string): Texts | undefined {
  const actions: string[] = [];
  const marked = text.replace(/\{\{.*?\}\}/gs, (action) => `\uE000${actions.push(action) - 1}\uE001`);
  if (/\{\{|\}\}/.test(marked) || /[\uE000\uE001]/.test(text) || actions.some((one) => NOT_A_VALUE.test(one)))
    return undefined;
  const value = parsed(marked);
  if (!isObject(value)) return undefined;
  const pairs = Object.entries(value);
  if (!pairs.every((pair): pair is [string, string] => typeof pair[1] === 'string')) return undefined;
  if (pairs.some(([key]) => key.search(MARK) >= 0)) return undefined;
  return Object.fromEntries(
    pairs.map(([key, one]) => [key, one.replace(MARK, (_, index: string) => actions[Number(index)] ?? '')]),
  );
}

/** Reads YAML, where every scalar is a text. Undefined: it is not YAML. */
function parsed(text: string): unknown {
  try {
    return parse(text, { schema: 'failsafe', logLevel: 'silent', prettyErrors: false, maxAliasCount: 0 });
  } catch (error) {
    if (error instanceof Error && /^(?:YAML|Reference)/.test(error.name)) return undefined;
    throw error;
  }
}

/** Decodes the rendered value. Undefined: the template has no equivalent. */
function decodedText(from: Node, text: string): string | undefined {
  const strategy = from.text('valuesDecodingStrategy') ?? 'None';
  if (strategy === 'None') return text;
  const action = /^\{\{-?\s*([^{}]*?)\s*-?\}\}$/.exec(text.trim())?.[1];
  return strategy === 'Base64' && action !== undefined ? `{{ ${action} | b64dec }}` : undefined;
}
