import { isCollection, type ParseOptions, parseDocument, type SchemaOptions, visit } from 'yaml';
import { isObject, type JsonObject } from '../core/json.ts';

export function objectIn(parent: JsonObject, name: string): JsonObject | undefined {
  const value = parent[name];
  return isObject(value) ? value : undefined;
}

export function textIn(parent: JsonObject, name: string): string | undefined {
  const value = parent[name];
  return typeof value === 'string' ? value : undefined;
}

export function listIn(parent: JsonObject, name: string): readonly unknown[] {
  const value = parent[name];
  return Array.isArray(value) ? value : [];
}

/**
 * Quotes strings such as `y`, `on`, `0755` and `12:30`. Helm and kubectl read YAML 1.1, where these are not strings.
 */
export const KUBECTL_YAML = { lineWidth: 0, aliasDuplicateObjects: false, compat: 'yaml-1.1' } as const;

/**
 * Parses a YAML document that is a map. Returns `undefined` if the text is something else or is ambiguous. Unknown tags
 * and non-string keys count as ambiguous: the library would convert them and print process warnings that quote values.
 */
export function parseMap(text: string, options: ParseOptions & SchemaOptions = {}): JsonObject | undefined {
  const document = parseDocument(text, { ...options, logLevel: 'error', prettyErrors: false });
  if (document.errors.length + document.warnings.length > 0) return undefined;
  let isUnambiguous = true;
  visit(document, {
    Pair(_, { key }) {
      if (isCollection(key)) isUnambiguous = false;
    },
  });
  const value: unknown = isUnambiguous ? toJs(document) : undefined;
  return isObject(value) ? value : undefined;
}

function toJs(document: { toJS(): unknown }): unknown {
  try {
    return document.toJS();
  } catch (error) {
    // The library throws a ReferenceError for too many aliases, or for an alias without an anchor.
    if (error instanceof ReferenceError) return undefined;
    throw error;
  }
}
