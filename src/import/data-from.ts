import { relativePattern } from './find-name.ts';
import type { Json, Node } from './node.ts';
import type { Notes } from './notes.ts';
import { type Naming, renameOf, rewritten } from './rewrite.ts';
import { decodeOf, nullBytes, type SourceContext, sourceOf, wholeSecret } from './sources.ts';

/** An entry of their `dataFrom` as one of ours; `undefined` where there is none, and then that is noted. */
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
        'only a secret has members',
        'Correct the object, and import it again.',
      );
    if (source?.property !== undefined)
      context.notes.changed(
        `${extract.path}.property`,
        'what it names must be an object here; theirs also takes a text that holds JSON',
        'Look at the value, and store an object in its place if it is such a text.',
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
        'a character that Kubernetes does not allow in a key is an error; theirs becomes `_U` with its number',
      );
    return { prefix: '', replaceInvalid: !isUnicode, withPath: path !== '' };
  }
  let naming: Naming = { prefix: '', replaceInvalid: false, withPath: path !== '' };
  for (const step of steps) {
    const next = rewritten(naming, step, path);
    if (next === undefined) {
      notes.lost(
        step.path,
        'renames keys in a way that `rename` cannot: it knows upper and lower case, a prefix, and `_` for what is not allowed',
        'Write each key under `data`, or change what reads the Secret.',
      );
      return undefined;
    }
    naming = next;
  }
  return naming;
}

function searchOf(find: Node, steps: readonly Node[], { notes, store }: SourceContext): Json | undefined {
  const decode = decodeOf(find, notes);
  nullBytes(find, notes);
  const isUnicode = find.text('conversionStrategy') === 'Unicode';
  const given = find.text('path');
  const name = find.child('name')?.text('regexp');
  const tags = find.texts('tags');
  // Names in Azure are flat, and theirs ignores the path there.
  const path = store.kind === 'azure-key-vault' || given === undefined ? '' : `${given.replace(/\/+$/, '')}/`;
  // Their names keep the path as it is written, wherever that leads.
  const place = store.searchPath?.(path) ?? path;
  wholeSecret(find, { notes, store });
  if (store.prefix !== undefined)
    notes.lost(
      find.path,
      'searches a store whose keys get a prefix',
      'Put the prefix into `find.path` by hand.',
    );
  if (store.searched === undefined)
    notes.lost(
      find.path,
      'searches a store that names no mount',
      'Name the mount, and write the search by hand.',
    );
  if (store.kind === 'aws-secrets-manager' && given !== undefined && !given.endsWith('/'))
    notes.changed(
      `${find.path}.path`,
      `is cut at a \`/\`: \`${given}\` finds what is below \`${path}\`, not every name that begins so`,
    );
  if (store.kind === 'aws-secrets-manager' && Object.keys(tags).length > 0)
    notes.changed(
      `${find.path}.tags`,
      'every tag must be there as it is written; the filters of AWS, by which theirs goes, look for names and values that begin so, each in any tag',
    );
  const byTags = store.kind === 'vault' && name !== undefined ? {} : tags;
  if (Object.keys(byTags).length < Object.keys(tags).length)
    notes.changed(`${find.path}.tags`, 'are left out, as theirs ignores them beside a name in Vault');
  if (store.kvVersion === 1 && Object.keys(byTags).length > 0)
    notes.lost(`${find.path}.tags`, 'version 1 of key/value has no tags', 'Search by name.');
  const pattern = relativePattern(name, path);
  if (pattern === undefined)
    notes.lost(
      `${find.path}.name.regexp`,
      `\`${name}\` finds nothing below \`${path}\``,
      'Correct the object, and import it again.',
    );
  else if (pattern.isGuess)
    notes.changed(
      `${find.path}.name.regexp`,
      `is matched against the name below \`${path}\`; theirs is matched against the whole name`,
      'Check that it finds the same.',
    );
  const naming = namingOf(steps, path, { isUnicode, at: find.path, notes });
  const rename = naming && renameOf(naming, path);
  if (naming?.withPath === true && !naming.replaceInvalid)
    notes.lost(
      find.path,
      `a key would begin with \`${path}\`, and \`/\` is not allowed in a key`,
      'Correct the object, and import it again.',
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
