import type { ValueCase } from './case.ts';
import {
  cannot,
  code,
  differs,
  MAP,
  one,
  PARAMETER_SIZE,
  property,
  REWRITES,
  SORTS,
  TEXT_ONLY,
  whole,
} from './make.ts';

export const BYTES = Uint8Array.from({ length: 256 }, (_, index) => index);
const AWKWARD = `"q" 'x' \\ </script> & \u2028 {{ x }} \t`;
const NO_EMPTY = 'AWS rejects an empty value';
const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;

export const TEXTS: readonly ValueCase[] = [
  whole('text', 'p@ssw0rd'),
  whole('text with a final newline', 'line\n'),
  whole('text with CRLF', 'a\r\nb\r\n'),
  whole('text with a NUL', 'a\0b'),
  whole('text with a byte order mark', '\ufefftext'),
  whole('text beyond ASCII', 'ü e\u0301 𝄞 👩‍👩‍👧 \u202e'),
  whole('text with quotes, backslashes and markup', AWKWARD, {
    parameters: cannot('Parameter Store rejects a value with `{{`'),
  }),
  whole('text that looks like a number', '007'),
  whole('text that looks like an object', ' { "a" : 1.10 } '),
  whole('empty text', '', {
    aws: cannot(NO_EMPTY),
    parameters: cannot(NO_EMPTY),
  }),
  property('an empty member of an object', '{"a":""}', 'a', ''),
  whole('25,000 bytes of text', 'ü'.repeat(12_500), { parameters: cannot(PARAMETER_SIZE) }),
  whole('64 KiB of text', 'x'.repeat(65_536), {
    azure: cannot('Azure values are limited to 25 KB'),
    parameters: cannot(PARAMETER_SIZE),
  }),
  whole('bytes', BYTES, {
    vault: cannot(TEXT_ONLY),
    azure: cannot('Azure stores text; store bytes as base64 and use `decode`'),
    parameters: cannot('Parameter Store stores text; store bytes as base64 and use `decode`'),
  }),
];

export const OBJECTS: readonly ValueCase[] = [
  {
    title: 'a whole object with its spaces and order',
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
  property('a list item', '{"a":[{"b":"0"},{"b":"1"}]}', 'a.1.b', '1'),
  property('a missing list item', '{"a":["0"]}', 'a.1', code('PROPERTY_MISSING')),
  property('an unusual name', '{"ü / \\"x\\"":"y"}', 'ü / "x"', 'y'),
  property('a name that is an integer', '{"10":"a","2":"b"}', '2', 'b'),
  property('`null`', '{"a":null}', 'a', code('PROPERTY_MISSING')),
  property('a missing property', '{"a":"x"}', 'b', code('PROPERTY_MISSING')),
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
    'an object without characters that need escaping',
    '{"a":{"b":"<ü>&\\u2028\\/"}}',
    'a',
    '{"b":"<ü>&\u2028/"}',
  ),
  property('a duplicate member', '{"a":"1","a":"2"}', 'a', code('NOT_AN_OBJECT'), {
    vault: differs('Vault keeps the last of the duplicate members', one('2'), '{"a":"2"}'),
  }),
  property('half of a surrogate pair', '{"a":"\\ud83d"}', 'a', code('DECODE_FAILED'), {
    vault: differs('Vault replaces the half pair with U+FFFD', one('\ufffd'), '{"a":"\ufffd"}'),
  }),
  property('an object nested in 400 objects', nested(401), 'a', nested(400)),
  property('an object nested in 600 objects', nested(601), 'a', code('NOT_AN_OBJECT'), {
    vault: cannot('a Vault response with more than 500 levels is not read'),
  }),
  whole(
    'a property of plain text',
    'not an object',
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
