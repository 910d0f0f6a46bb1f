import type { ErrorCode } from '../../../src/core/error-codes.ts';
import type { Exception, Gives, ValueCase } from './case.ts';

export const MAP = 'a Vault secret is a map, never plain text or a list';
export const REWRITES = 'Vault reformats numbers';
export const SORTS = 'Vault sorts the members of objects, and adds no spaces';
export const TEXT_ONLY = 'Vault stores text; store bytes as base64 and use `decode`';
export const PARAMETER_SIZE = 'Parameter Store values are limited to 8 KB';
export const NO_TAGS = 'key/value 1 has no custom metadata';
export const NO_VERSIONS = 'only the current version exists, and its name is the fingerprint of the value';

export const cannot = (why: string): Exception => ({ kind: 'cannot', why });
export const differs = (why: string, gives: Gives, keeps?: string): Exception => ({
  kind: 'differs',
  gives,
  why,
  ...(keeps === undefined ? {} : { keeps }),
});

export const quoted = (text: string) => JSON.stringify(text);
export const one = (value: string | Uint8Array): Gives => ({ data: { KEY: value } });
export const code = (errorCode: ErrorCode) => ({ code: errorCode });

/** Creates a case that reads a whole value. The Secret contains the value unchanged, or `gives` if present. */
export function whole(
  title: string,
  value: string | Uint8Array,
  but: ValueCase['but'] = {},
  { more = '', gives = one(value) }: { more?: string; gives?: Gives } = {},
): ValueCase {
  return {
    title,
    stored: [{ key: 'v', value, isObject: false }],
    mapping: ({ key, whole: ending }) => `data: { KEY: { store: s, key: ${key('v')}${more}${ending} } }`,
    gives,
    but,
  };
}

/** Creates a case that reads one property of a JSON object. */
export function property(
  title: string,
  json: string,
  name: string,
  gives: string | Uint8Array | { readonly code: ErrorCode },
  but: ValueCase['but'] = {},
  more = '',
): ValueCase {
  return {
    title,
    stored: [{ key: 'v', value: json, isObject: true }],
    mapping: ({ key }) => `data: { KEY: { store: s, key: ${key('v')}, property: ${quoted(name)}${more} } }`,
    gives: typeof gives === 'object' && 'code' in gives ? gives : one(gives),
    but,
  };
}

/** Creates a case that reads every member of an object. */
export function spread(
  title: string,
  json: string,
  gives: Gives,
  { more = '', data = '' }: { more?: string; data?: string } = {},
  but: ValueCase['but'] = {},
): ValueCase {
  return {
    title,
    stored: [{ key: 'v', value: json, isObject: true }],
    mapping: ({ key }) =>
      `${data.replaceAll('$key', key('v'))}dataFrom: [ { store: s, key: ${key('v')}${more} } ]`,
    gives,
    but,
  };
}

/** Creates a case that searches keys with the value `{"a":"<the key>"}` and the given tags. */
export function find(
  title: string,
  keys: Readonly<Record<string, Readonly<Record<string, string>>>>,
  { found, query, rename = '' }: { found: Readonly<Record<string, string>>; query: string; rename?: string },
  but: ValueCase['but'] = {},
): ValueCase {
  const text = (key: string) => `{"a":${quoted(key)}}`;
  return {
    title,
    stored: Object.entries(keys).map(([key, tags]) => ({
      key,
      value: text(key),
      isObject: true,
      ...(Object.keys(tags).length === 0 ? {} : { tags }),
    })),
    mapping: ({ key }) =>
      `dataFrom: [ { store: s, find: { path: ${key('f/')}${query} }${rename === '' ? '' : `, rename: ${rename}`} } ]`,
    gives: { data: Object.fromEntries(Object.entries(found).map(([name, key]) => [name, text(key)])) },
    but,
  };
}
