import type { Json, Node } from './node.ts';
import type { Notes } from './notes.ts';
import type { Store } from './store.ts';

export interface SourceContext {
  readonly notes: Notes;
  readonly store: Store;
}

/** A `remoteRef` or `extract` of theirs as a source of ours, without `rename`. */
export function sourceOf(ref: Node, { notes, store }: SourceContext): Json | undefined {
  const key = ref.text('key');
  const property = propertyOf(ref, notes);
  const version = versionOf(ref, store);
  const decode = decodeOf(ref, notes);
  nullBytes(ref, notes);
  ref.ignore('conversionStrategy');
  if (ref.text('metadataPolicy') === 'Fetch')
    notes.lost(
      `${ref.path}.metadataPolicy`,
      'tags and metadata of a secret cannot be read as a value',
      'Put what is needed of them into the value, or leave this with the present controller.',
    );
  if (key === undefined) {
    notes.lost(`${ref.path}.key`, 'is missing', 'Correct the object, and import it again.');
    return undefined;
  }
  const place = store.place(key, notes, `${ref.path}.key`);
  if (place === undefined) return undefined;
  const isCertificate = place.object === 'certificate';
  if (property === undefined && ref.path.endsWith('remoteRef')) wholeSecret(ref, { notes, store });
  return {
    ...place,
    // Theirs ignores it there.
    ...(property === undefined || isCertificate ? {} : { property }),
    ...(version === undefined ? {} : { version }),
    ...(decode === undefined ? {} : { decode }),
  };
}

/** https://github.com/tidwall/gjson/blob/master/SYNTAX.md: names, dots and indexes are common to both. */
function propertyOf(ref: Node, notes: Notes): string | undefined {
  const property = ref.text('property');
  if (property === undefined) return undefined;
  const plain = property.replace(/\\\./g, '.');
  if (!/[*?|#@\\[\]{}!]/.test(plain)) {
    // An escaped dot is part of a name; ours tries the whole as one name first.
    const isOneName = property.replace(/\\\./g, '').indexOf('.') < 0;
    if (plain === property || isOneName) return plain;
  }
  // As a literal name it would work in both, and such names are rare.
  if (/^[\w-]*[@#!][\w-]*$/.test(property) && !/^[@#!]/.test(property)) return property;
  notes.lost(
    `${ref.path}.property`,
    `\`${property}\` asks for more than names, dots and indexes`,
    'Take the whole value, and shape it in a template with `from_json`.',
  );
  return property;
}

function versionOf(ref: Node, store: Store): string | undefined {
  const version = ref.text('version');
  // The name of the current one is theirs for "none".
  if (version === undefined || (store.kind === 'aws-secrets-manager' && version === 'AWSCURRENT'))
    return undefined;
  if (store.kind === 'aws-secrets-manager') return version.replace(/^uuid\//, '');
  // Version 1 of key/value has none, and theirs says nothing about it.
  return store.kvVersion === 1 ? undefined : version;
}

export function decodeOf(ref: Node, notes: Notes): string | undefined {
  const strategy = ref.text('decodingStrategy') ?? 'None';
  if (strategy === 'Base64') return 'base64';
  if (strategy === 'Base64URL') return 'base64url';
  if (strategy === 'None') return undefined;
  notes.changed(
    `${ref.path}.decodingStrategy`,
    'nothing is guessed: the value stays as it is in the store',
    'Look at the value, and say `decode: base64` or `base64url` if it is encoded.',
  );
  return undefined;
}

/** Whole secrets of Vault are printed as JSON, each in its own way. */
export function wholeSecret(ref: Node, { notes, store }: SourceContext): void {
  if (store.kind === 'vault')
    notes.changed(
      ref.path,
      'the whole secret is the JSON of its map with nothing escaped; theirs writes `<`, `>` and `&` as `\\u003c` and so on',
    );
}

export function nullBytes(ref: Node, notes: Notes): void {
  if (ref.text('nullBytePolicy') === 'Fail')
    notes.changed(`${ref.path}.nullBytePolicy`, 'zero bytes are not looked for: a value may hold any bytes');
}
