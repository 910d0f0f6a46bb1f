import { parseDocument } from 'yaml';
import { isObject } from '../core/json.ts';
import { createNode, createNotes, type Node, type Notes } from './node.ts';

const OPTIONS = { logLevel: 'silent', prettyErrors: false, merge: true } as const;

/** Parses YAML in a text field of an object. Returns `undefined` if it is not valid. */
function parsed(text: string): unknown {
  const document = parseDocument(text, OPTIONS);
  if (document.errors.length > 0) return undefined;
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    // The parser reports alias errors only when it creates values.
    if (error instanceof Error) return undefined;
    throw error;
  }
}

/** An item of a list, with its own findings. */
export interface TextItem {
  readonly node: Node;
  readonly notes: Notes;
}

/**
 * Returns the objects of a list that a text field contains as YAML. Some tools write each item as YAML in a text again.
 * Adds a note for each item that is not an object.
 */
export function objectsInText(
  text: string,
  { at, listName, notes }: { readonly at: string; readonly listName?: string; readonly notes: Notes },
): readonly TextItem[] {
  const root = parsed(text);
  const list = listName !== undefined && isObject(root) ? root[listName] : root;
  if (!Array.isArray(list)) {
    notes.lost(at, 'is not a list in YAML', 'Fix the object, and import it again.');
    return [];
  }
  const path = listName === undefined ? at : `${at}.${listName}`;
  return list.flatMap((item: unknown, index) => {
    const value = typeof item === 'string' ? parsed(item) : item;
    const own = createNotes();
    if (isObject(value)) return [{ node: createNode(value, `${path}[${index}]`, own), notes: own }];
    notes.lost(`${path}[${index}]`, 'is not an object in YAML', 'Fix the object, and import it again.');
    return [];
  });
}
