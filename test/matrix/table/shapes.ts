import type { Gives, ValueCase } from './case.ts';
import {
  cannot,
  code,
  differs,
  find,
  NO_TAGS,
  NO_VERSIONS,
  one,
  property,
  quoted,
  spread,
  whole,
} from './make.ts';
import { BYTES } from './texts.ts';

const many = Object.fromEntries(Array.from({ length: 130 }, (_, index) => [`f/n${index}`, {}]));
const TAGGED = {
  'f/both': { live: 'true', team: 'a' },
  'f/one': { live: 'true' },
  'f/longer': { live: 'truest', team: 'a' },
  'f/none': {},
};

const BASE64 = Buffer.from(BYTES).toString('base64');
const URL_SAFE = Buffer.from(BYTES).toString('base64url');
const decoded = (title: string, text: string, how: string, gives: Gives): ValueCase =>
  whole(title, text, {}, { more: `, decode: ${how}`, gives });

export const DECODING: readonly ValueCase[] = [
  decoded('bytes as base64', BASE64, 'base64', one(BYTES)),
  decoded('base64 without padding', 'aGVsbG8', 'base64', code('DECODE_FAILED')),
  decoded('base64 with a final newline', 'aGVsbG8=\n', 'base64', code('DECODE_FAILED')),
  decoded('base64 with a space', 'aGVs bG8=', 'base64', code('DECODE_FAILED')),
  decoded('base64 with the letters of base64url', '-_-_', 'base64', code('DECODE_FAILED')),
  decoded('bytes as base64url', URL_SAFE, 'base64url', one(BYTES)),
  decoded('base64url with padding', 'aGVsbG8=', 'base64url', one('hello')),
  decoded('base64url with the letters of base64', '+/+/', 'base64url', code('DECODE_FAILED')),
  decoded('bytes as hex', Buffer.from(BYTES).toString('hex'), 'hex', one(BYTES)),
  decoded('hex in both letter cases', 'F09f9880', 'hex', one('😀')),
  decoded('an odd number of hex digits', '686', 'hex', code('DECODE_FAILED')),
  property('a member as base64', `{"a":"${BASE64}"}`, 'a', BYTES, {}, ', decode: base64'),
  property('an empty member as base64', '{"a":""}', 'a', '', {}, ', decode: base64'),
];

export const SPREADING: readonly ValueCase[] = [
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
      'vault-1': cannot('key/value 1 rejects an empty map'),
    },
  ),
  spread('a `null`', '{"a":"1","b":null}', code('PROPERTY_MISSING')),
  spread(
    'a `null` from an optional source',
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
    'names in upper case, after a prefix',
    '{"db-user":"ann"}',
    { data: { 'app_DB-USER': 'ann' } },
    {
      more: ', rename: { case: upper, prefix: app_ }',
    },
  ),
  spread('an invalid key name', '{"db/user":"ann"}', code('KEY_INVALID')),
  spread(
    'invalid key names, replaced',
    '{"..x":"2","db/user name":"1"}',
    { data: { '_.x': '2', db_user_name: '1' } },
    {
      more: ', rename: { invalid: replace }',
    },
  ),
  spread('two names that become one', '{"A":"1","a":"1"}', code('KEY_COLLISION'), {
    more: ', rename: { case: upper }',
  }),
  spread('two sources with the same key', '{"a":"1"}', code('KEY_COLLISION'), {
    data: 'data: { a: { store: s, key: $key, property: a } }, ',
  }),
  spread(
    'a duplicate member, spread',
    '{"a":"1","a":"2"}',
    code('NOT_AN_OBJECT'),
    {},
    {
      vault: differs('Vault keeps the last of the duplicate members', { data: { a: '2' } }, '{"a":"2"}'),
    },
  ),
];

export const FINDING: readonly ValueCase[] = [
  find(
    'keys by path',
    { 'f/a': {}, 'f/b': {}, fx: {}, 'g/a': {} },
    { query: '', found: { a: 'f/a', b: 'f/b' } },
  ),
  find(
    'keys by path, in subfolders',
    { 'f/a': {}, 'f/sub/b': {} },
    { query: '', rename: '{ invalid: replace }', found: { a: 'f/a', sub_b: 'f/sub/b' } },
    { azure: cannot('Azure names have no folders') },
  ),
  find(
    'keys by name',
    { 'f/flag-a': {}, 'f/flag-b': {}, 'f/no-flag-c': {} },
    {
      query: ", name: '^flag-'",
      rename: '{ case: upper }',
      found: { 'FLAG-A': 'f/flag-a', 'FLAG-B': 'f/flag-b' },
    },
  ),
  find(
    'keys by tags: all tags, exact match',
    TAGGED,
    { query: ", tags: { live: 'true', team: a }", found: { both: 'f/both' } },
    {
      'vault-1': differs(NO_TAGS, code('CONFIG_INVALID')),
      files: differs('files have no tags', code('CONFIG_INVALID')),
    },
  ),
  find('more keys than fit on one page of a list', many, {
    query: '',
    found: Object.fromEntries(Object.keys(many).map((key) => [key.slice(2), key])),
  }),
  { ...find('no matching key', { fx: {} }, { query: '', found: {} }), gives: { code: 'SOURCE_ABSENT' } },
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

export const VERSIONS: readonly ValueCase[] = [
  versioned('the current version by its name', 'second', one('second')),
  versioned('the previous version by its name', 'first', one('first'), {
    'vault-1': differs(NO_VERSIONS, code('VERSION_GONE')),
    files: differs(NO_VERSIONS, code('VERSION_GONE')),
  }),
  versioned('a version that never existed', 'never', code('VERSION_GONE')),
  {
    title: 'a missing key',
    stored: [],
    mapping: ({ key }) => `data: { KEY: { store: s, key: ${key('none')} } }`,
    gives: code('SOURCE_ABSENT'),
  },
  {
    title: 'a missing optional key',
    stored: [{ key: 'v', value: '{"a":"x"}', isObject: true }],
    mapping: ({ key }) =>
      `data: { KEY: { store: s, key: ${key('v')}, property: a }, NO: { store: s, key: ${key('none')}, optional: true } }`,
    gives: one('x'),
  },
  {
    title: 'a missing optional property',
    stored: [{ key: 'v', value: '{"a":"x"}', isObject: true }],
    mapping: ({ key }) =>
      `data: { KEY: { store: s, key: ${key('v')}, property: a }, NO: { store: s, key: ${key('v')}, property: b, optional: true } }`,
    gives: one('x'),
  },
];
