import type { Json, Node, Notes } from '../node.ts';
import { type Naming, renameOf, rewritten } from './rewrite.ts';
import { decodeOf, nullBytes, type SourceContext, sourceOf, wholeSecret } from './sources.ts';

interface Pattern {
  /** The pattern for names. `undefined` if every name matches. */
  readonly text: string | undefined;
  /** Whether the converted pattern may match other names than the original. */
  readonly isApproximate: boolean;
}

const MATCH_ALL: Pattern = { text: undefined, isApproximate: false };

/**
 * Converts a pattern for complete names to a pattern for names relative to the path.
 * @param path The path with a final `/`, or empty.
 * @returns `undefined` if no name below the path can match.
 */
function relativePattern(name: string | undefined, path: string): Pattern | undefined {
  if (name === undefined || /^\^?\.\*\$?$/.test(name)) return MATCH_ALL;
  if (path === '') return { text: name, isApproximate: false };
  const approximate: Pattern = { text: name, isApproximate: true };
  if (!name.startsWith('^') || hasAlternative(name)) return approximate;
  for (const start of [`^${path.replace(/[.+*?()|[\]{}^$\\]/g, '\\$&')}`, `^${path}`]) {
    const rest = name.slice(start.length);
    if (name.startsWith(start) && !isRepeated(rest))
      return rest === '' ? MATCH_ALL : { text: `^${rest}`, isApproximate: false };
  }
  // The literal prefix of the pattern. A quantifier applies to the letter before it, so such a letter is not part of
  // the prefix.
  const [, letters = ''] = /^\^((?:[\w/-](?![*+?{]))*)/.exec(name) ?? [];
  if (!path.startsWith(letters)) return letters.startsWith(path) ? approximate : undefined;
  return /^(?:\.\*\$?)?$/.test(name.slice(1 + letters.length)) ? MATCH_ALL : approximate;
}

function isRepeated(rest: string): boolean {
  return /^[*+?{]/.test(rest);
}

/** Whether a `|` occurs outside of groups. A leading `^` then applies only to the first alternative. */
function hasAlternative(pattern: string): boolean {
  const outside = pattern
    .replace(/\\./gs, '')
    .replace(/\[\^?\]?[^\]]*\]/g, '')
    .replace(/[^()|]/g, '');
  let depth = 0;
  for (const sign of outside) {
    if (sign === '|' && depth === 0) return true;
    if (sign !== '|') depth += sign === '(' ? 1 : -1;
  }
  return false;
}

/** Converts an entry of `dataFrom`. Returns `undefined` and adds a note if that is not possible. */
export function sourceListOf(entry: Node, context: SourceContext): Json | undefined {
  const extract = entry.child('extract');
  const find = entry.child('find');
  const steps = entry.children('rewrite');
  if (extract !== undefined) {
    const isUnicode = extract.text('conversionStrategy') === 'Unicode';
    const source = sourceOf(extract, context);
    const naming = namingOf(steps, '', { isUnicode, at: extract.path, notes: context.notes });
    if (source?.object !== undefined)
      context.notes.lost(
        `${extract.path}.key`,
        'only a secret has members, not a certificate or key',
        'Fix the object, and import it again.',
      );
    if (source?.property !== undefined)
      context.notes.changed(
        `${extract.path}.property`,
        'the property must be a JSON object; External Secrets also accepts a string that contains JSON',
        'Check the value. If it is a string with JSON, store an object instead.',
      );
    const rename = naming && renameOf(naming, '');
    return source && { ...source, ...(rename === undefined ? {} : { rename }) };
  }
  if (find !== undefined) return searchOf(find, steps, context);
  for (const step of steps) step.ignore('merge', 'regexp', 'transform');
  context.notes.lost(entry.path, 'has neither `extract` nor `find`', 'Write the source by hand.');
  return undefined;
}

interface NamingContext {
  readonly isUnicode: boolean;
  readonly at: string;
  readonly notes: Notes;
}

function namingOf(
  steps: readonly Node[],
  path: string,
  { isUnicode, at, notes }: NamingContext,
): Naming | undefined {
  if (steps.length === 0) {
    if (isUnicode)
      notes.changed(
        `${at}.conversionStrategy`,
        'a character that Kubernetes does not allow in a key is an error; External Secrets replaces it with `_U` and its code',
      );
    return { prefix: '', replaceInvalid: !isUnicode, withPath: path !== '' };
  }
  let naming: Naming = { prefix: '', replaceInvalid: false, withPath: path !== '' };
  for (const step of steps) {
    const next = rewritten(naming, step, path);
    if (next === undefined) {
      notes.lost(
        step.path,
        'renames keys in a way that `rename` does not support: it supports patterns, then upper or lower case, a prefix, and `_` for invalid characters',
        'List each key under `data`, or change the programs that read the Secret.',
      );
      return undefined;
    }
    naming = next;
  }
  return naming;
}

interface SearchFields {
  readonly path: string;
  readonly requestedPath: string | undefined;
  readonly name: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
}

/** Returns the tags to search for. Adds a note if External Secrets and secretbridge would find different keys. */
function searchTags(
  find: Node,
  { path, requestedPath, name, tags }: SearchFields,
  { notes, store }: SourceContext,
): Readonly<Record<string, string>> {
  if (store.kind === 'aws-secrets-manager' && requestedPath !== undefined && !requestedPath.endsWith('/'))
    notes.changed(
      `${find.path}.path`,
      `is cut at a \`/\`: \`${requestedPath}\` finds names below \`${path}\`, not all names with that prefix`,
    );
  if (store.kind === 'aws-secrets-manager' && Object.keys(tags).length > 0)
    notes.changed(
      `${find.path}.tags`,
      'every tag must match exactly; External Secrets uses AWS filters, which match prefixes of names and values in any tag',
    );
  const byTags = store.kind === 'vault' && name !== undefined ? {} : tags;
  if (Object.keys(byTags).length < Object.keys(tags).length)
    notes.changed(
      `${find.path}.tags`,
      'are left out, because External Secrets ignores them in Vault if a name is set',
    );
  if (store.kvVersion === 1 && Object.keys(byTags).length > 0)
    notes.lost(`${find.path}.tags`, 'the key/value engine version 1 has no tags', 'Search by name.');
  return byTags;
}

function searchOf(find: Node, steps: readonly Node[], { notes, store }: SourceContext): Json | undefined {
  const decode = decodeOf(find, notes);
  nullBytes(find, notes);
  const isUnicode = find.text('conversionStrategy') === 'Unicode';
  const requestedPath = find.text('path');
  const name = find.child('name')?.text('regexp');
  const tags = find.texts('tags');
  // Names in Azure have no path, and External Secrets ignores the path of a search in Azure.
  const path =
    store.kind === 'azure-key-vault' || requestedPath === undefined
      ? ''
      : `${requestedPath.replace(/\/+$/, '')}/`;
  // `path` is the prefix that External Secrets keeps in the names that it finds. Our search may have to start at
  // another path, for example without the mount.
  const place = store.searchPath?.(path) ?? path;
  wholeSecret(find, { notes, store });
  if (store.prefix !== undefined)
    notes.lost(
      find.path,
      'searches a store that adds a prefix to keys',
      'Add the prefix to `find.path` by hand.',
    );
  if (store.searched === undefined)
    notes.lost(find.path, 'searches a store without a mount', 'Set the mount, and write the search by hand.');
  const byTags = searchTags(find, { path, requestedPath, name, tags }, { notes, store });
  const pattern = relativePattern(name, path);
  if (pattern === undefined)
    notes.lost(
      `${find.path}.name.regexp`,
      `\`${name}\` finds nothing below \`${path}\``,
      'Fix the object, and import it again.',
    );
  else if (pattern.isApproximate)
    notes.changed(
      `${find.path}.name.regexp`,
      `is matched against the name below \`${path}\`; External Secrets matches the whole name`,
      'Check that it finds the same names.',
    );
  const naming = namingOf(steps, path, { isUnicode, at: find.path, notes });
  const rename = naming && renameOf(naming, path);
  if (naming?.withPath === true && !naming.replaceInvalid)
    notes.lost(
      find.path,
      `keys would start with \`${path}\`, but \`/\` is not allowed in a key`,
      'Fix the object, and import it again.',
    );
  return {
    store: store.searched,
    find: {
      ...(place === '' ? {} : { path: place }),
      ...(pattern?.text === undefined ? {} : { name: pattern.text }),
      ...(Object.keys(byTags).length === 0 ? {} : { tags: byTags }),
    },
    ...(decode === undefined ? {} : { decode }),
    ...(rename === undefined ? {} : { rename }),
  };
}
