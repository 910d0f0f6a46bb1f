import { describe, expect, it } from 'vitest';
import type { Source } from '../../src/core/mapping.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { membersOf, pickValue } from '../../src/sync/value.ts';
import { source } from './sample.ts';

function pick(text: string | Uint8Array, part: Partial<Source> = {}): string {
  const value = typeof text === 'string' ? SecretValue.fromText(text) : SecretValue.fromBytes(text);
  return Buffer.from(pickValue(source(part), { value }).reveal()).toString('utf8');
}

function spread(text: string, part: Partial<Source> = {}): Record<string, string> {
  const members = membersOf(source(part), { value: SecretValue.fromText(text) });
  return Object.fromEntries(
    members.map(([name, value]) => [name, Buffer.from(value.reveal()).toString('utf8')]),
  );
}

function codeOf(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error;
  }
  return 'no error';
}

describe('whole value', () => {
  it.each(['', 'plain', 'final newline\n', 'a\r\nb', '\u0000', '\uFEFFbom', '😀', '"quoted"'])(
    'a whole value keeps its bytes: %j',
    (text) => {
      expect(pick(text)).toBe(text);
    },
  );

  it('a whole value stays binary if its bytes are not UTF-8', () => {
    const bytes = Uint8Array.from([0, 255, 128, 10]);
    expect(pickValue(source(), { value: SecretValue.fromBytes(bytes) }).reveal()).toEqual(bytes);
  });
});

describe('property', () => {
  const text =
    '{"a.b":"literal","a":{"b":"dotted","c":[{"n":"x"}]},"n":1.10,"big":123456789012345678,"e":1e5,"t":true,"z":null,"o":{ "y" : 1, "x" : "é/" },"empty":""}';

  it.each([
    ['a.b', 'literal'],
    ['a.c.0.n', 'x'],
    ['n', '1.10'],
    ['big', '123456789012345678'],
    ['e', '1e5'],
    ['t', 'true'],
    ['o', '{"y":1,"x":"é/"}'],
    ['empty', ''],
  ])('the property %s is read as %s', (property, expected) => {
    expect(pick(text, { property })).toBe(expected);
  });

  it.each(['nothing', 'z', 'a.c.1', 'a.c.00', 'a.c.-1', 'n.x', 'a.c.length', '__proto__', 'a.b.c'])(
    'the property %s is reported as missing',
    (property) => {
      expect(codeOf(() => pick(text, { property }))).toBe('PROPERTY_MISSING');
    },
  );

  it('a property is read even if its name is an integer or a JavaScript keyword', () => {
    expect(pick('{"1":"one","constructor":"c"}', { property: '1' })).toBe('one');
    expect(pick('{"1":"one","constructor":"c"}', { property: 'constructor' })).toBe('c');
  });

  it.each(['', 'text', '"text"', '[1]', '1', 'null', '{"a":1,"a":2}', '{"a":1', '\uFEFF{"a":1}'])(
    'a property of the value %j is rejected, because the value is not an object',
    (value) => {
      expect(codeOf(() => pick(value, { property: 'a' }))).toBe('NOT_AN_OBJECT');
    },
  );

  it('a property is rejected if the bytes of the value are not UTF-8', () => {
    expect(codeOf(() => pick(Uint8Array.from([0x7b, 0xff, 0x7d]), { property: 'a' }))).toBe('NOT_AN_OBJECT');
  });

  it('a property is rejected if an object on its path has a duplicate member', () => {
    expect(codeOf(() => pick('{"a":{"b":1,"b":2}}', { property: 'a.b' }))).toBe('NOT_AN_OBJECT');
  });

  it('a property is rejected if it contains half a surrogate pair', () => {
    expect(codeOf(() => pick('{"a":"\\ud83d"}', { property: 'a' }))).toBe('DECODE_FAILED');
  });

  it('an error about a property contains the name of the property, but no value', () => {
    try {
      pick('{"other":"hunter2"}', { property: 'password' });
      expect.unreachable();
    } catch (error) {
      expect(String(error)).toContain('property password');
      expect(String(error)).not.toContain('hunter2');
    }
  });
});

describe('decode', () => {
  it.each([
    ['base64', 'aGk=', 'hi'],
    ['base64', '', ''],
    ['base64url', 'aGk', 'hi'],
    ['base64url', 'aGk=', 'hi'],
    ['base64url', '8J-YgA', '😀'],
    ['hex', '6869', 'hi'],
    ['hex', 'F09f9880', '😀'],
    ['hex', '', ''],
  ] as const)('decoding accepts the %s text %j', (decode, text, expected) => {
    expect(pick(text, { decode })).toBe(expected);
  });

  it.each([
    ['base64', 'aGk'],
    ['base64', 'aGk=\n'],
    ['base64', ' aGk='],
    ['base64', '8J-YgA=='],
    ['base64', 'aGk=='],
    ['base64', 'a'],
    ['base64', 'ä'],
    ['base64url', '8J+YgA'],
    ['base64url', 'aGk=='],
    ['base64url', 'a'],
    ['base64url', 'aG k'],
    ['hex', '686'],
    ['hex', '686g'],
    ['hex', '68 69'],
    ['hex', '0x6869'],
    ['hex', '6869\n'],
    ['hex', 'K6'],
  ] as const)('decoding rejects the %s text %j', (decode, text) => {
    expect(codeOf(() => pick(text, { decode }))).toBe('DECODE_FAILED');
  });
});

describe('spread', () => {
  it('a spread returns each member of a value according to the rules for a property', () => {
    expect(spread('{"a":"x","b":1.0,"c":{"d":[]}}')).toEqual({ a: 'x', b: '1.0', c: '{"d":[]}' });
  });

  it('a spread returns the members of a property if the source names that property', () => {
    expect(spread('{"env":{"a":"x"}}', { property: 'env' })).toEqual({ a: 'x' });
  });

  it('a spread rejects a null member unless the source is optional', () => {
    expect(codeOf(() => spread('{"a":null}'))).toBe('PROPERTY_MISSING');
    expect(spread('{"a":null,"b":"x"}', { optional: true })).toEqual({ b: 'x' });
  });

  it.each(['[]', '"x"', '{"a":1,"a":2}'])(
    'a spread rejects the value %s, because the value is not an object',
    (text) => {
      expect(codeOf(() => spread(text))).toBe('NOT_AN_OBJECT');
    },
  );
});
