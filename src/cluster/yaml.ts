import { isCollection, type ParseOptions, parseDocument, type SchemaOptions, visit } from 'yaml';
import { isObject, type JsonObject } from '../core/json.ts';

/** Helm and kubectl read YAML 1.1, where `y`, `on`, `0755` and `12:30` are no text: what would be read so is quoted. */
export const FOR_KUBECTL = { lineWidth: 0, aliasDuplicateObjects: false, compat: 'yaml-1.1' } as const;

/**
 * The map in a document; `undefined`: there is none, or it is not clear what is meant. Of an unknown tag and of a key
 * that is no text, the library would make text and warn the whole process, quoting lines that hold values.
 */
export function parseMap(text: string, options: ParseOptions & SchemaOptions = {}): JsonObject | undefined {
  const document = parseDocument(text, { ...options, logLevel: 'error', prettyErrors: false });
  if (document.errors.length + document.warnings.length > 0) return undefined;
  let isClear = true;
  visit(document, {
    Pair(_, { key }) {
      if (isCollection(key)) isClear = false;
    },
  });
  const value: unknown = isClear ? toJs(document) : undefined;
  return isObject(value) ? value : undefined;
}

function toJs(document: { toJS(): unknown }): unknown {
  try {
    return document.toJS();
  } catch (error) {
    // Aliases that multiply, or that name nothing.
    if (error instanceof ReferenceError) return undefined;
    throw error;
  }
}
