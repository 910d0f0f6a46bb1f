import type { Json, Node, Notes } from '../node.ts';
import { gjsonQuery, type Query } from '../query.ts';
import type { Store } from '../store.ts';

export interface SourceContext {
  readonly notes: Notes;
  readonly store: Store;
  /** Takes the value out of a list. It replaces the property. */
  readonly query?: Query | undefined;
}

/** Converts a `remoteRef` or `extract` to a source, without `rename`. */
export function sourceOf(ref: Node, { notes, store, query }: SourceContext): Json | undefined {
  const key = ref.text('key');
  const property = query === undefined ? propertyOf(ref, notes) : undefined;
  const version = versionOf(ref, store);
  const decode = decodeOf(ref, notes);
  nullBytes(ref, notes);
  ref.ignore('conversionStrategy');
  if (ref.text('metadataPolicy') === 'Fetch')
    notes.lost(
      `${ref.path}.metadataPolicy`,
      'tags and metadata of a secret cannot be read as values',
      'Add the needed tags and metadata to the value, or keep this object with External Secrets.',
    );
  if (key === undefined) {
    notes.lost(`${ref.path}.key`, 'is missing', 'Fix the object, and import it again.');
    return undefined;
  }
  const place = store.place(key, notes, `${ref.path}.key`);
  if (place === undefined) return undefined;
  const isCertificate = place.object === 'certificate';
  if (property === undefined && query === undefined && ref.path.endsWith('remoteRef'))
    wholeSecret(ref, { notes, store });
  return {
    ...place,
    // External Secrets ignores the property of a certificate.
    ...(property === undefined || isCertificate ? {} : { property }),
    ...(version === undefined ? {} : { version }),
    ...(decode === undefined ? {} : { decode }),
  };
}

/** Returns the query in a property. Undefined: it is a name, a path, or something else that has no equivalent. */
export function queryOf(ref: Node): Query | undefined {
  const property = ref.text('property');
  // External Secrets decodes the result of a query. A source decodes the whole value.
  const isDecoded = (ref.text('decodingStrategy') ?? 'None') !== 'None';
  return property === undefined || isDecoded ? undefined : gjsonQuery(property);
}

/**
 * Converts a gjson path (https://github.com/tidwall/gjson/blob/master/SYNTAX.md). Names, dots and indexes have the same
 * meaning in both formats.
 */
function propertyOf(ref: Node, notes: Notes): string | undefined {
  const property = ref.text('property');
  if (property === undefined) return undefined;
  const plain = property.replace(/\\\./g, '.');
  if (!/[*?|#@\\[\]{}!]/.test(plain)) {
    // An escaped dot is part of a name. Our format has no escapes, but first tries the whole text as one name. So
    // escaped dots can only be converted if the text has no other dots.
    const isOneName = property.replace(/\\\./g, '').indexOf('.') < 0;
    if (plain === property || isOneName) return plain;
  }
  // Literal names with one of these rare characters work in both formats.
  if (/^[\w-]*[@#!][\w-]*$/.test(property) && !/^[@#!]/.test(property)) return property;
  notes.lost(
    `${ref.path}.property`,
    `\`${property}\` uses more than names, dots and indexes`,
    'Read the whole value, and use a template with `from_json`.',
  );
  return property;
}

function versionOf(ref: Node, store: Store): string | undefined {
  const version = ref.text('version');
  // AWSCURRENT means the current version. That is the default, so no version is needed.
  if (version === undefined || (store.kind === 'aws-secrets-manager' && version === 'AWSCURRENT'))
    return undefined;
  if (store.kind === 'aws-secrets-manager') return version.replace(/^uuid\//, '');
  // Version 1 of the key/value engine has no versions of secrets, and External Secrets ignores this field for it.
  return store.kvVersion === 1 ? undefined : version;
}

export function decodeOf(ref: Node, notes: Notes): string | undefined {
  const strategy = ref.text('decodingStrategy') ?? 'None';
  if (strategy === 'Base64') return 'base64';
  if (strategy === 'Base64URL') return 'base64url';
  if (strategy === 'None') return undefined;
  notes.changed(
    `${ref.path}.decodingStrategy`,
    'the encoding is not detected: the value is not decoded',
    'Check the value, and set `decode: base64` or `base64url` if it is encoded.',
  );
  return undefined;
}

/**
 * Adds a note if the source is a complete Vault secret. Such a secret is formatted as JSON, and External Secrets and
 * secretbridge escape JSON differently.
 */
export function wholeSecret(ref: Node, { notes, store }: SourceContext): void {
  if (store.kind === 'vault')
    notes.changed(
      ref.path,
      'the whole secret is printed as JSON without escaping; External Secrets writes `<`, `>` and `&` as `\\u003c` and so on',
    );
}

export function nullBytes(ref: Node, notes: Notes): void {
  if (ref.text('nullBytePolicy') === 'Fail')
    notes.changed(`${ref.path}.nullBytePolicy`, 'zero bytes are not rejected: a value may contain any bytes');
}
