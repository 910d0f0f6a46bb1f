import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonError, type JsonNode, parseJson, printJson, toJson } from '../../src/core/json.ts';
import { SecretValue } from '../../src/core/secret-value.ts';

function toPlain(node: JsonNode): unknown {
  switch (node.kind) {
    case 'object':
      return Object.fromEntries(node.members.map(([name, value]) => [name, toPlain(value)]));
    case 'array':
      return node.items.map(toPlain);
    case 'string':
      return node.value;
    case 'number':
      return Number(node.text);
    default:
      return node.kind === 'null' ? null : node.kind === 'true';
  }
}

describe('lossless JSON', () => {
  it('parses every document like JSON.parse', () => {
    fc.assert(
      fc.property(fc.json({ noUnicodeString: false }), (text) => {
        expect(toPlain(parseJson(text))).toEqual(JSON.parse(text));
      }),
    );
  });

  it('prints JSON like JSON.stringify, except for white space', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const compact = JSON.stringify(value);
        expect(printJson(parseJson(JSON.stringify(value, null, 3)))).toBe(compact);
      }),
    );
  });

  it('prints plain data like JSON.stringify, and leaves out undefined members', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom('\ud800', '"', 'é') }),
    );
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.oneof(text, fc.double(), fc.boolean(), fc.constantFrom(null, undefined)),
        fc.array(tie('value')),
        fc.dictionary(text, tie('value')),
      ),
    }));
    fc.assert(
      fc.property(value, (sample) => {
        expect(toJson(sample)).toBe(JSON.stringify(sample ?? null));
      }),
    );
  });

  it('prints the result of toJSON if a value has this method', () => {
    const value = { at: new Date(0), secret: SecretValue.fromText('hidden'), list: [new Date(1)] };
    expect(toJson(value)).toBe(JSON.stringify(value));
    expect(toJson(value)).not.toContain('hidden');
  });

  it('parseJson reads long texts like JSON.parse, with and without escapes', () => {
    fc.assert(
      fc.property(fc.nat(3), fc.string({ unit: 'binary', maxLength: 5 }), (more, some) => {
        const value = { name: `${'x'.repeat(64 * 1_024 - 2 + more)}${some}`, after: some };
        const text = JSON.stringify(value);
        expect(toPlain(parseJson(text))).toEqual(value);
        expect(printJson(parseJson(text))).toBe(text);
      }),
    );
  });

  it('rejects every text that JSON.parse rejects, without quoting the text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        let valid = true;
        try {
          JSON.parse(text);
        } catch (error) {
          expect(error).toBeInstanceOf(SyntaxError);
          valid = false;
        }
        if (valid) parseJson(text);
        else expect(() => parseJson(text)).toThrow(new JsonError());
      }),
    );
  });
});

describe('parseJson for text in which JSON.parse loses information', () => {
  it.each(['123456789012345678', '1.10', '1e5', '-0', '1E+400', '0.1000000000000000055'])(
    'keeps the text of the number %s',
    (text) => {
      expect(printJson(parseJson(` [ ${text} ]`))).toBe(`[${text}]`);
    },
  );

  it('keeps the order of members, including integer-like names and duplicates', () => {
    expect(printJson(parseJson('{"b":1,"2":2,"1":3,"b":4,"__proto__":5}'))).toBe(
      '{"b":1,"2":2,"1":3,"b":4,"__proto__":5}',
    );
  });

  it('escapes no more characters in JSON than necessary', () => {
    expect(printJson(parseJson('"\\u00e9\\/\\u2028\\ud83d\\ude00\\u0000\\n"'))).toBe(
      '"é/\u2028😀\\u0000\\n"',
    );
  });

  it('rejects nesting so deep that it would exhaust the stack', () => {
    expect(() => parseJson('['.repeat(100_000) + ']'.repeat(100_000))).toThrow(JsonError);
  });

  it('parseJson reads a 1 MiB string full of escapes in linear time', () => {
    const text = JSON.stringify('\\"'.repeat(500_000));
    expect(printJson(parseJson(text))).toBe(text);
  });
});
