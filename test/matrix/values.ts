import type { ErrorCode } from '../../src/core/error-codes.ts';

/** The stores of the table, in the order of its columns. */
export const STORES = {
  'vault-2': 'Vault, key/value 2',
  'vault-1': 'Vault, key/value 1',
  aws: 'AWS',
  azure: 'Azure',
  files: 'files',
} as const;
export type StoreName = keyof typeof STORES;

/** One key of a store. A secret of Vault is a map: text that is no object stands in its member `value`. */
export interface Stored {
  readonly key: string;
  readonly value: string | Uint8Array;
  /** Whether the value is a JSON object, which Vault holds as it is. */
  readonly isObject: boolean;
  readonly tags?: Readonly<Record<string, string>>;
}

/** What a mapping is written with, since stores differ in names. */
export interface At {
  /** A key of this case, or the beginning of keys. */
  key(name: string): string;
  /** Ends a source that takes a whole text: nothing, or the property that Vault holds it in. */
  readonly whole: string;
  /** What each entry of `stored` became, in their order. */
  readonly versions: readonly string[];
  /** A version that the store never had. */
  readonly never: string;
}

export type Gives =
  | { readonly data: Readonly<Record<string, string | Uint8Array>> }
  | { readonly code: ErrorCode };

export type Exception =
  /** The store has no place for it at all. */
  | { readonly kind: 'cannot'; readonly why: string }
  /** `keeps`: what the store makes of the text of the (only) value. */
  | { readonly kind: 'differs'; readonly keeps?: string; readonly gives: Gives; readonly why: string };

export interface ValueCase {
  readonly title: string;
  readonly stored: readonly Stored[];
  /** The rest of the mapping, in YAML's flow style. */
  readonly mapping: (at: At) => string;
  readonly gives: Gives;
  /** `vault` stands for both versions. */
  readonly but?: Partial<Readonly<Record<StoreName | 'vault', Exception>>>;
}

export interface Group {
  readonly title: string;
  readonly cases: readonly ValueCase[];
}

export function exceptionOf({ but = {} }: ValueCase, store: StoreName): Exception | undefined {
  return but[store] ?? (store.startsWith('vault') ? but.vault : undefined);
}

const MAP = 'a secret of Vault is a map, never text or a list by itself';
const REWRITES = 'Vault parses and prints numbers anew';
const SORTS = 'Vault sorts the members of objects, and adds no spaces';
const TEXT_ONLY = 'Vault holds text; keep bytes as base64 and use `decode`';
const NO_TAGS = 'key/value 1 has no custom metadata';
const NO_VERSIONS = 'there is only the current version, and its name is the fingerprint of the value';

const cannot = (why: string): Exception => ({ kind: 'cannot', why });
const differs = (why: string, gives: Gives, keeps?: string): Exception => ({
  kind: 'differs',
  gives,
  why,
  ...(keeps === undefined ? {} : { keeps }),
});

const quoted = (text: string) => JSON.stringify(text);
const one = (value: string | Uint8Array): Gives => ({ data: { KEY: value } });
const code = (it: ErrorCode) => ({ code: it });

/** A whole value that arrives as it is, or as `gives` says. */
function whole(
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

/** One property of a JSON object. */
function property(
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

/** Every member of an object. */
function spread(
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

/** A search over keys that hold `{"a":"<the key>"}`, given with their tags. */
function find(
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

const BYTES = Uint8Array.from({ length: 256 }, (_, index) => index);
const AWKWARD = `"q" 'x' \\ </script> & \u2028 {{ x }} \t`;
const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
const many = Object.fromEntries(Array.from({ length: 130 }, (_, index) => [`f/n${index}`, {}]));
const TAGGED = {
  'f/both': { live: 'true', team: 'a' },
  'f/one': { live: 'true' },
  'f/longer': { live: 'truest', team: 'a' },
  'f/none': {},
};

const TEXTS: readonly ValueCase[] = [
  whole('text', 'p@ssw0rd'),
  whole('text with a final new line', 'line\n'),
  whole('text with CRLF', 'a\r\nb\r\n'),
  whole('text with a NUL', 'a\0b'),
  whole('text with a byte order mark', '\ufefftext'),
  whole('text beyond ASCII', 'ü e\u0301 𝄞 👩‍👩‍👧 \u202e'),
  whole('text with quotes, backslashes and markup', AWKWARD),
  whole('text that looks like a number', '007'),
  whole('text that looks like an object', ' { "a" : 1.10 } '),
  whole('empty text', '', {
    aws: cannot('AWS takes no empty value'),
  }),
  property('an empty member of an object', '{"a":""}', 'a', ''),
  whole('25,000 bytes of text', 'ü'.repeat(12_500)),
  whole('64 KiB of text', 'x'.repeat(65_536), { azure: cannot('Azure holds at most 25 KB') }),
  whole('bytes', BYTES, {
    vault: cannot(TEXT_ONLY),
    azure: cannot('Azure holds text; keep bytes as base64 and use `decode`'),
  }),
];

const OBJECTS: readonly ValueCase[] = [
  {
    title: 'a whole object, its spaces and order',
    stored: [{ key: 'v', value: '{ "b": "1", "a": "x" }\n', isObject: true }],
    mapping: ({ key }) => `data: { KEY: { store: s, key: ${key('v')} } }`,
    gives: one('{ "b": "1", "a": "x" }\n'),
    but: { vault: differs(SORTS, one('{"a":"x","b":"1"}'), '{"a":"x","b":"1"}') },
  },
  {
    title: 'a whole object, compact and sorted',
    stored: [{ key: 'v', value: '{"a":"<x> & ü","b":[true,null]}', isObject: true }],
    mapping: ({ key }) => `data: { KEY: { store: s, key: ${key('v')} } }`,
    gives: one('{"a":"<x> & ü","b":[true,null]}'),
  },
  property('text with escapes', '{"a":"C:\\\\dir \\u00fc \\/ \\n"}', 'a', 'C:\\dir ü / \n'),
  property('a literal name before a path', '{"a.b":"literal","a":{"b":"path"}}', 'a.b', 'literal'),
  property('a path', '{"a":{"b":"path"}}', 'a.b', 'path'),
  property('an item of a list', '{"a":[{"b":"0"},{"b":"1"}]}', 'a.1.b', '1'),
  property('an item that the list does not have', '{"a":["0"]}', 'a.1', code('PROPERTY_MISSING')),
  property('an awkward name', '{"ü / \\"x\\"":"y"}', 'ü / "x"', 'y'),
  property('a name that is an integer', '{"10":"a","2":"b"}', '2', 'b'),
  property('`null`', '{"a":null}', 'a', code('PROPERTY_MISSING')),
  property('a name that is not there', '{"a":"x"}', 'b', code('PROPERTY_MISSING')),
  property('`true`', '{"a":true}', 'a', 'true'),
  property('`false`', '{"a":false}', 'a', 'false'),
  property('a small whole number', '{"a":5432}', 'a', '5432'),
  property('a whole number of 18 digits', '{"a":123456789012345678}', 'a', '123456789012345678', {
    'vault-2': differs(REWRITES, one('123456789012345680'), '{"a":123456789012345680}'),
  }),
  property('`1.10`', '{"a":1.10}', 'a', '1.10', {
    'vault-2': differs(REWRITES, one('1.1'), '{"a":1.1}'),
  }),
  property('`1e5`', '{"a":1e5}', 'a', '1e5', {
    'vault-2': differs(REWRITES, one('100000'), '{"a":100000}'),
  }),
  property('`-0`', '{"a":-0}', 'a', '-0'),
  property('a list', '{"a":[ "x", 1, true ]}', 'a', '["x",1,true]'),
  property('an object, its order', '{"a":{"z":"1","b":"2"}}', 'a', '{"z":"1","b":"2"}', {
    vault: differs(SORTS, one('{"b":"2","z":"1"}'), '{"a":{"b":"2","z":"1"}}'),
  }),
  property(
    'an object whose names are integers',
    '{"a":{"10":"x","2":"y","b":"z"}}',
    'a',
    '{"10":"x","2":"y","b":"z"}',
  ),
  property(
    'an object with what needs no escaping',
    '{"a":{"b":"<ü>&\\u2028\\/"}}',
    'a',
    '{"b":"<ü>&\u2028/"}',
  ),
  property('a name that stands twice', '{"a":"1","a":"2"}', 'a', code('NOT_AN_OBJECT'), {
    vault: differs('Vault keeps the last of them', one('2'), '{"a":"2"}'),
  }),
  property('half of a surrogate pair', '{"a":"\\ud83d"}', 'a', code('DECODE_FAILED'), {
    vault: differs('Vault puts U+FFFD in its place', one('\ufffd'), '{"a":"\ufffd"}'),
  }),
  property('an object in 400 objects', nested(401), 'a', nested(400)),
  property('an object in 600 objects', nested(601), 'a', code('NOT_AN_OBJECT'), {
    vault: cannot('an answer of Vault with more than 500 levels is not read at all'),
  }),
  whole(
    'a property of text',
    'no object',
    { vault: cannot(MAP) },
    {
      more: ', property: a',
      gives: code('NOT_AN_OBJECT'),
    },
  ),
  whole(
    'a property of a list',
    '["a"]',
    { vault: cannot(MAP) },
    {
      more: ", property: '0'",
      gives: code('NOT_AN_OBJECT'),
    },
  ),
];

const BASE64 = Buffer.from(BYTES).toString('base64');
const URL_SAFE = Buffer.from(BYTES).toString('base64url');
const decoded = (title: string, text: string, how: string, gives: Gives): ValueCase =>
  whole(title, text, {}, { more: `, decode: ${how}`, gives });

const DECODING: readonly ValueCase[] = [
  decoded('bytes as base64', BASE64, 'base64', one(BYTES)),
  decoded('base64 without its padding', 'aGVsbG8', 'base64', code('DECODE_FAILED')),
  decoded('base64 with a final new line', 'aGVsbG8=\n', 'base64', code('DECODE_FAILED')),
  decoded('base64 with a space', 'aGVs bG8=', 'base64', code('DECODE_FAILED')),
  decoded('base64 with the letters of base64url', '-_-_', 'base64', code('DECODE_FAILED')),
  decoded('bytes as base64url', URL_SAFE, 'base64url', one(BYTES)),
  decoded('base64url with its padding', 'aGVsbG8=', 'base64url', one('hello')),
  decoded('base64url with the letters of base64', '+/+/', 'base64url', code('DECODE_FAILED')),
  property('a member as base64', `{"a":"${BASE64}"}`, 'a', BYTES, {}, ', decode: base64'),
  property('an empty member as base64', '{"a":""}', 'a', '', {}, ', decode: base64'),
];

const SPREADING: readonly ValueCase[] = [
  spread('each member', '{"list":[1,"x"],"on":true,"port":5432,"user":"ann"}', {
    data: { list: '[1,"x"]', on: 'true', port: '5432', user: 'ann' },
  }),
  spread(
    'an object in an object',
    '{"a":{"b":{"x":"1","y":"2"}}}',
    { data: { x: '1', y: '2' } },
    {
      more: ', property: a.b',
    },
  ),
  spread(
    'an object without members',
    '{}',
    { data: {} },
    {},
    {
      'vault-1': cannot('key/value 1 takes no empty map'),
    },
  ),
  spread('a `null`', '{"a":"1","b":null}', code('PROPERTY_MISSING')),
  spread(
    'a `null` of an optional source',
    '{"a":"1","b":null}',
    { data: { a: '1' } },
    {
      more: ', optional: true',
    },
  ),
  spread(
    'each member as base64',
    '{"a":"aGVsbG8=","b":""}',
    { data: { a: 'hello', b: '' } },
    {
      more: ', decode: base64',
    },
  ),
  spread(
    'renamed by case, then by prefix',
    '{"db-user":"ann"}',
    { data: { 'app_DB-USER': 'ann' } },
    {
      more: ', rename: { case: upper, prefix: app_ }',
    },
  ),
  spread('a name that no key may have', '{"db/user":"ann"}', code('KEY_INVALID')),
  spread(
    'such names replaced',
    '{"..x":"2","db/user name":"1"}',
    { data: { '_.x': '2', db_user_name: '1' } },
    {
      more: ', rename: { invalid: replace }',
    },
  ),
  spread('two names that become one', '{"A":"1","a":"1"}', code('KEY_COLLISION'), {
    more: ', rename: { case: upper }',
  }),
  spread('a name that another source gives', '{"a":"1"}', code('KEY_COLLISION'), {
    data: 'data: { a: { store: s, key: $key, property: a } }, ',
  }),
  spread(
    'a name that stands twice, spread',
    '{"a":"1","a":"2"}',
    code('NOT_AN_OBJECT'),
    {},
    {
      vault: differs('Vault keeps the last of them', { data: { a: '2' } }, '{"a":"2"}'),
    },
  ),
];

const FINDING: readonly ValueCase[] = [
  find('by path', { 'f/a': {}, 'f/b': {}, fx: {}, 'g/a': {} }, { query: '', found: { a: 'f/a', b: 'f/b' } }),
  find(
    'by path, in folders',
    { 'f/a': {}, 'f/sub/b': {} },
    { query: '', rename: '{ invalid: replace }', found: { a: 'f/a', sub_b: 'f/sub/b' } },
    { azure: cannot('names in Azure have no folders') },
  ),
  find(
    'by name',
    { 'f/flag-a': {}, 'f/flag-b': {}, 'f/no-flag-c': {} },
    {
      query: ", name: '^flag-'",
      rename: '{ case: upper }',
      found: { 'FLAG-A': 'f/flag-a', 'FLAG-B': 'f/flag-b' },
    },
  ),
  find(
    'by tags, all of them and to the letter',
    TAGGED,
    { query: ", tags: { live: 'true', team: a }", found: { both: 'f/both' } },
    {
      'vault-1': differs(NO_TAGS, code('CONFIG_INVALID')),
      files: differs('files have no tags', code('CONFIG_INVALID')),
    },
  ),
  find('more than fit on one page of a list', many, {
    query: '',
    found: Object.fromEntries(Object.keys(many).map((key) => [key.slice(2), key])),
  }),
  find('nothing', { fx: {} }, { query: '', found: {} }),
];

const VERSION = { key: 'v', isObject: true } as const;
const versioned = (title: string, version: string, gives: Gives, but: ValueCase['but'] = {}): ValueCase => ({
  title,
  stored: [
    { ...VERSION, value: '{"a":"first"}' },
    { ...VERSION, value: '{"a":"second"}' },
  ],
  mapping: ({ key, versions, never }) => {
    const named = { first: versions[0], second: versions[1] }[version] ?? never;
    return `data: { KEY: { store: s, key: ${key('v')}, property: a, version: ${quoted(named)} } }`;
  },
  gives,
  but,
});

const VERSIONS: readonly ValueCase[] = [
  versioned('the current version by its name', 'second', one('second')),
  versioned('the version before by its name', 'first', one('first'), {
    'vault-1': differs(NO_VERSIONS, code('VERSION_GONE')),
    files: differs(NO_VERSIONS, code('VERSION_GONE')),
  }),
  versioned('a version that the store never had', 'never', code('VERSION_GONE')),
  {
    title: 'a key that is not there',
    stored: [],
    mapping: ({ key }) => `data: { KEY: { store: s, key: ${key('none')} } }`,
    gives: code('SOURCE_ABSENT'),
  },
  {
    title: 'an optional key that is not there',
    stored: [{ key: 'v', value: '{"a":"x"}', isObject: true }],
    mapping: ({ key }) =>
      `data: { KEY: { store: s, key: ${key('v')}, property: a }, NO: { store: s, key: ${key('none')}, optional: true } }`,
    gives: one('x'),
  },
  {
    title: 'an optional property that is not there',
    stored: [{ key: 'v', value: '{"a":"x"}', isObject: true }],
    mapping: ({ key }) =>
      `data: { KEY: { store: s, key: ${key('v')}, property: a }, NO: { store: s, key: ${key('v')}, property: b, optional: true } }`,
    gives: one('x'),
  },
];

/** What a store holds, and what of it reaches a Secret: the tests run it, and `docs/reference/values.md` shows it. */
export const VALUES: readonly Group[] = [
  { title: 'Whole values', cases: TEXTS },
  { title: 'JSON objects', cases: OBJECTS },
  { title: 'Decoding', cases: DECODING },
  { title: 'One key for each member', cases: SPREADING },
  { title: 'Searches', cases: FINDING },
  { title: 'Versions and optional sources', cases: VERSIONS },
];
