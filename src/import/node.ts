import { isObject, type JsonObject } from '../core/json.ts';

/** A finding about an imported object that the user has to know. */
export interface Finding {
  /**
   * `changed`: the object was converted, but behaves differently. `lost`: a part was not converted, so it has no effect
   * in the result.
   */
  readonly level: 'changed' | 'lost';
  /** The path of the field from the object's root. */
  readonly at: string;
  readonly what: string;
  /** The action that the user has to take, if any. */
  readonly todo?: string;
}

/** Collects the findings of one object. */
export interface Notes {
  changed(at: string, what: string, todo?: string): void;
  lost(at: string, what: string, todo: string): void;
  readonly findings: readonly Finding[];
  /** Whether a part could not be converted. */
  readonly incomplete: boolean;
}

const MISSING = 'is missing';

export function createNotes(): Notes {
  const findings: Finding[] = [];
  // Add each finding only once. The same finding can be reported several times, for example at each use of a function.
  const add = (finding: Finding) => {
    const same = findings.filter(({ at }) => at === finding.at);
    if (same.some(({ what }) => what === finding.what)) return;
    // The field is present but unusable, and that is already reported. So do not report the field as missing too.
    if (finding.what === MISSING && same.some(({ level }) => level === 'lost')) return;
    findings.push(finding);
  };
  return {
    changed: (at, what, todo) => add({ level: 'changed', at, what, ...(todo === undefined ? {} : { todo }) }),
    lost: (at, what, todo) => add({ level: 'lost', at, what, todo }),
    findings,
    get incomplete() {
      return findings.some(({ level }) => level === 'lost');
    },
  };
}

export type Json = JsonObject;

/**
 * Reads an imported object field by field. `finish` reports every field that was not read, because an unknown field may
 * change the meaning.
 */
export interface Node {
  readonly path: string;
  /** The names of the fields that have a value. */
  names(): readonly string[];
  has(name: string): boolean;
  text(name: string): string | undefined;
  /** Returns a string that may contain `{{`, because it is a template or pattern of External Secrets. */
  template(name: string): string | undefined;
  flag(name: string): boolean;
  child(name: string): Node | undefined;
  children(name: string): readonly Node[];
  /** Returns a map of strings. */
  texts(name: string): Readonly<Record<string, string>>;
  /** Returns a map of templates. */
  templates(name: string): Readonly<Record<string, string>>;
  /** Returns a list of strings. */
  list(name: string): readonly string[];
  /** Marks these fields as read. Used for fields that have no effect on the import. */
  ignore(...names: readonly string[]): void;
  finish(): void;
}

export function createNode(value: Json, path: string, notes: Notes): Node {
  return new FieldReader(value, path, notes);
}

class FieldReader implements Node {
  readonly path: string;
  readonly #value: Json;
  readonly #notes: Notes;
  readonly #readFields = new Set<string>();
  /** The child node of each field. All callers get the same node, because it records which of its fields were read. */
  readonly #nodes = new Map<string, Node>();

  constructor(value: Json, path: string, notes: Notes) {
    this.path = path;
    this.#value = value;
    this.#notes = notes;
  }

  names(): readonly string[] {
    return Object.keys(this.#value).filter((name) => this.has(name));
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#value, name) && this.#value[name] !== undefined && this.#value[name] !== null;
  }

  text(name: string): string | undefined {
    const text = this.template(name);
    return text === undefined ? undefined : this.#checkRendered(text, this.#at(name));
  }

  template(name: string): string | undefined {
    const found = this.#read(name, isScalar, 'text');
    return found === undefined || found === '' ? undefined : String(found);
  }

  flag(name: string): boolean {
    return this.#read(name, isBoolean, 'true or false') ?? false;
  }

  child(name: string): Node | undefined {
    const found = this.#read(name, isObject, 'an object');
    return found === undefined ? undefined : this.#under(found, this.#at(name));
  }

  children(name: string): readonly Node[] {
    const found = this.#read(name, isListOf(isObject), 'a list of objects') ?? [];
    return found.map((item, index) => this.#under(item, `${this.#at(name)}[${index}]`));
  }

  texts(name: string): Readonly<Record<string, string>> {
    const texts = this.templates(name);
    for (const [key, text] of Object.entries(texts)) this.#checkRendered(text, `${this.#at(name)}.${key}`);
    return texts;
  }

  templates(name: string): Readonly<Record<string, string>> {
    const found = this.#read(name, isObject, 'an object') ?? {};
    const entries = Object.entries(found).map(([key, text]): [string, string] => {
      if (isScalar(text)) return [key, String(text)];
      this.#notes.lost(`${this.#at(name)}.${key}`, 'is not text', 'Fix the object, and import it again.');
      return [key, ''];
    });
    return Object.fromEntries(entries);
  }

  list(name: string): readonly string[] {
    return this.#read(name, isListOf(isText), 'a list of texts') ?? [];
  }

  ignore(...names: readonly string[]): void {
    for (const name of names) this.#readFields.add(name);
  }

  finish(): void {
    for (const node of this.#nodes.values()) node.finish();
    for (const [name, found] of Object.entries(this.#value)) {
      if (this.#readFields.has(name) || found === null || found === undefined) continue;
      this.#notes.lost(
        this.#at(name),
        'is a field that the import does not support',
        'Check what it does, and add it to the configuration if it matters.',
      );
    }
  }

  #at(name: string): string {
    return this.path === '' ? name : `${this.path}.${name}`;
  }

  #under(found: Json, where: string): Node {
    const node = this.#nodes.get(where) ?? createNode(found, where, this.#notes);
    this.#nodes.set(where, node);
    return node;
  }

  #read<T>(name: string, isExpected: (found: unknown) => found is T, expected: string): T | undefined {
    this.#readFields.add(name);
    const field = Object.hasOwn(this.#value, name) ? this.#value[name] : undefined;
    if (field === undefined || field === null) return undefined;
    if (isExpected(field)) return field;
    if (isUnrenderedTemplate(field)) {
      this.#notes.lost(this.#at(name), notRendered('{{'), RENDER);
      return undefined;
    }
    this.#notes.lost(this.#at(name), `is not ${expected}`, 'Fix the object, and import it again.');
    return undefined;
  }

  #checkRendered(text: string, where: string): string {
    // A placeholder of a chart or of Flux was not replaced in this text. External Secrets would use the placeholder
    // literally, and no store has such a name.
    const [sign] = /\{\{|\$\{(?=[A-Za-z_])/.exec(text) ?? [];
    if (sign !== undefined) this.#notes.lost(where, notRendered(sign), RENDER);
    return text;
  }
}

const RENDER = 'Render it first, for example with `helm template`, and import the result.';

function notRendered(sign: string): string {
  return `contains \`${sign}\`, so it looks like a template that was not rendered`;
}

/** YAML parses an unquoted `{{ .Values.region }}` as an object with an object as key. */
function isUnrenderedTemplate(value: unknown): boolean {
  return isObject(value) && Object.keys(value).some((key) => /^\{ .* \}$/s.test(key));
}

/** Returns the name of a store or mapping. */
export function nameOf({ name }: Json): string {
  return String(name);
}

export function isText(value: unknown): value is string {
  return typeof value === 'string';
}

/** YAML parses some unquoted texts as numbers or booleans, so accept these types as text. */
function isScalar(value: unknown): value is string | number | boolean {
  return isText(value) || isBoolean(value) || (typeof value === 'number' && Number.isFinite(value));
}

function isBoolean(value: unknown): value is boolean {
  return typeof value === 'boolean';
}

function isListOf<T>(isItem: (item: unknown) => item is T) {
  return (value: unknown): value is readonly T[] => Array.isArray(value) && value.every(isItem);
}
