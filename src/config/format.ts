import { z } from 'zod';
import { Reference } from '../providers/credentials.ts';
import type { Path } from './problem.ts';
import { ConfigFile } from './schema.ts';

// Answers questions about the format itself, for hints and for the excerpts of files.

type Schema = z.core.$ZodType;

/** A place in the format, such as `stores[].auth`. */
export class Field {
  readonly #schemas: readonly Schema[];
  readonly #isPrivate: boolean;
  readonly #name: string;
  /** List entries share a field, and so do members with free names. */
  readonly #members = new Map<string | number, Field>();

  constructor(schemas: readonly Schema[], isPrivate: boolean, name: string) {
    this.#schemas = schemas;
    this.#name = name;
    this.#isPrivate = isPrivate || schemas.some(isReference);
  }

  /** The names that an object has here. */
  get names(): readonly string[] {
    return [...new Set(this.#schemas.flatMap((schema) => Object.keys(shapeOf(schema))))];
  }

  /** Whether the names of the members are keys of the target, as in `data`. */
  get hasTargetKeys(): boolean {
    return this.#name === 'data' && this.#isRecord;
  }

  get #isRecord(): boolean {
    return this.#schemas.some((schema) => schema instanceof z.ZodRecord);
  }

  get isList(): boolean {
    return this.#schemas.some((schema) => schema instanceof z.ZodArray);
  }

  /**
   * Whether a text here is a setting or a name that secretbridge shows elsewhere too, such as the key of a source. False
   * for credentials, for text that belongs to the user, for unknown fields, and where an object or a list is expected.
   */
  get isPublicText(): boolean {
    return !this.#isPrivate && this.#schemas.length > 0 && !this.#schemas.some(isContainer);
  }

  /** Adds the names of all fields below this field. */
  collectNames(found: Set<string>): void {
    if (this.isList) this.member(0).collectNames(found);
    else if (this.hasTargetKeys) this.member('').collectNames(found);
    for (const name of this.names) {
      found.add(name);
      this.member(name).collectNames(found);
    }
  }

  /** Returns the field of a member or of a list entry. An unknown field has no names and is not public. */
  member(part: string | number): Field {
    const key = typeof part === 'number' ? 0 : part;
    const known = this.#members.get(key);
    if (known !== undefined) return known;
    const schemas = this.#schemas.flatMap((schema) => {
      if (typeof part === 'number') return schema instanceof z.ZodArray ? branchesOf(schema.element) : [];
      if (schema instanceof z.ZodRecord) return branchesOf(schema.valueType);
      const shape = shapeOf(schema);
      const inner = Object.hasOwn(shape, part) ? shape[part] : undefined;
      return inner === undefined ? [] : branchesOf(inner);
    });
    const field = new Field(schemas, this.#isPrivate || PRIVATE.has(String(part)), String(part));
    // Free names would fill the cache.
    if (!this.#isRecord) this.#members.set(key, field);
    return field;
  }
}

/** Fields whose text may be a value, or may identify somebody. */
const PRIVATE: ReadonlySet<string> = new Set([
  ...['annotations', 'headers', 'labels', 'tags', 'template'],
  ...['clientId', 'externalId', 'roleId', 'tenantId', 'username'],
]);

/** The field at the root of a file. */
export const ROOT = new Field(branchesOf(ConfigFile), false, '');

/** Returns all names of the format. */
export function formatNames(): ReadonlySet<string> {
  const names = new Set<string>();
  ROOT.collectNames(names);
  return names;
}

export function fieldAt(path: Path): Field {
  return path.reduce<Field>((field, part) => field.member(part), ROOT);
}

/** Removes wrappers such as defaults, and splits unions. A credential reference stays whole. */
function branchesOf(schema: Schema): readonly Schema[] {
  if (isReference(schema)) return [schema];
  if (schema instanceof z.ZodUnion) return schema.options.flatMap(branchesOf);
  if (schema instanceof z.ZodPipe) return branchesOf(schema.in);
  const isWrapper =
    schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault;
  return isWrapper ? branchesOf(schema.def.innerType) : [schema];
}

function isContainer(schema: Schema): boolean {
  return schema instanceof z.ZodObject || schema instanceof z.ZodArray || schema instanceof z.ZodRecord;
}

/** Compares the options, because a description creates a new schema with the same options. */
function isReference(schema: Schema): boolean {
  return schema instanceof z.ZodUnion && schema.options === Reference.options;
}

function shapeOf(schema: Schema): Readonly<Record<string, Schema>> {
  if (schema instanceof z.ZodObject) return schema.shape;
  return isReference(schema) ? Object.assign({}, ...Reference.options.map(({ shape }) => shape)) : {};
}
