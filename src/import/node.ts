import { isObject, type JsonObject } from '../core/json.ts';
import type { Notes } from './notes.ts';

export type Json = JsonObject;

/**
 * One object of theirs, read field by field. What is never asked for is listed by `finish`, so that nothing is
 * passed over in silence: a field that we do not know may be the one that matters.
 */
export interface Node {
  readonly path: string;
  has(name: string): boolean;
  text(name: string): string | undefined;
  /** A text that is a template or a pattern of theirs, and so may hold what a chart's would. */
  template(name: string): string | undefined;
  flag(name: string): boolean;
  child(name: string): Node | undefined;
  children(name: string): readonly Node[];
  /** A map of texts. */
  texts(name: string): Readonly<Record<string, string>>;
  /** A map of templates of theirs. */
  templates(name: string): Readonly<Record<string, string>>;
  /** A list of texts. */
  list(name: string): readonly string[];
  /** Fields that mean nothing for reading. */
  ignore(...names: readonly string[]): void;
  finish(): void;
}

export function createNode(value: Json, path: string, notes: Notes): Node {
  const asked = new Set<string>();
  /** One node for each field, so that what two callers ask of it counts together. */
  const made = new Map<string, Node>();

  function take<T>(name: string, fits: (found: unknown) => found is T, expected: string): T | undefined {
    asked.add(name);
    const found = Object.hasOwn(value, name) ? value[name] : undefined;
    if (found === undefined || found === null) return undefined;
    if (fits(found)) return found;
    if (isUnfilled(found)) {
      notes.lost(at(name), unfilled('{{'), RENDER);
      return undefined;
    }
    notes.lost(at(name), `is not ${expected}`, 'Correct the object, and import it again.');
    return undefined;
  }

  const at = (name: string) => (path === '' ? name : `${path}.${name}`);
  const under = (found: Json, where: string): Node => {
    const known = made.get(where) ?? createNode(found, where, notes);
    made.set(where, known);
    return known;
  };

  const filled = (text: string, where: string): string => {
    // Theirs takes it by the letter, and no store has such a name: it is what a chart, or Flux, was to put there.
    const [sign] = /\{\{|\$\{(?=[A-Za-z_])/.exec(text) ?? [];
    if (sign !== undefined) notes.lost(where, unfilled(sign), RENDER);
    return text;
  };
  const textOf = (name: string): string | undefined => {
    const found = take(name, isScalar, 'text');
    return found === undefined || found === '' ? undefined : String(found);
  };
  const textsOf = (name: string): Readonly<Record<string, string>> => {
    const found = take(name, isObject, 'an object') ?? {};
    const entries = Object.entries(found).map(([key, text]): [string, string] => {
      if (isScalar(text)) return [key, String(text)];
      notes.lost(`${at(name)}.${key}`, 'is not text', 'Correct the object, and import it again.');
      return [key, ''];
    });
    return Object.fromEntries(entries);
  };

  return {
    path,
    has: (name) => Object.hasOwn(value, name) && value[name] !== undefined && value[name] !== null,
    text(name) {
      const text = textOf(name);
      return text === undefined ? undefined : filled(text, at(name));
    },
    template: textOf,
    flag: (name) => take(name, isBoolean, 'true or false') ?? false,
    child(name) {
      const found = take(name, isObject, 'an object');
      return found === undefined ? undefined : under(found, at(name));
    },
    children(name) {
      const found = take(name, isListOf(isObject), 'a list of objects') ?? [];
      return found.map((item, index) => under(item, `${at(name)}[${index}]`));
    },
    texts(name) {
      const texts = textsOf(name);
      for (const [key, text] of Object.entries(texts)) filled(text, `${at(name)}.${key}`);
      return texts;
    },
    templates: textsOf,
    list: (name) => take(name, isListOf(isText), 'a list of texts') ?? [],
    ignore(...names) {
      for (const name of names) asked.add(name);
    },
    finish() {
      for (const node of made.values()) node.finish();
      for (const [name, found] of Object.entries(value)) {
        if (asked.has(name) || found === null || found === undefined) continue;
        notes.lost(
          at(name),
          'is a field that this import does not know',
          'Find out what it does, and say it in the configuration if it matters.',
        );
      }
    },
  };
}

const RENDER = 'Render it first, as by `helm template`, and import that.';

function unfilled(sign: string): string {
  return `holds \`${sign}\`, as a template that was not filled in`;
}

/** To YAML, `{{ .Values.region }}` without quotes is an object with an object for a key. */
function isUnfilled(value: unknown): boolean {
  return isObject(value) && Object.keys(value).some((key) => /^\{ .* \}$/s.test(key));
}

export function isText(value: unknown): value is string {
  return typeof value === 'string';
}

/** YAML without quotes makes numbers and booleans of what is meant as text. */
function isScalar(value: unknown): value is string | number | boolean {
  return isText(value) || isBoolean(value) || (typeof value === 'number' && Number.isFinite(value));
}

function isBoolean(value: unknown): value is boolean {
  return typeof value === 'boolean';
}

function isListOf<T>(fits: (item: unknown) => item is T) {
  return (value: unknown): value is readonly T[] => Array.isArray(value) && value.every(fits);
}
