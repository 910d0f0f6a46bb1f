import { describe, expect, it } from 'vitest';
import { isObject, JsonError, parseIfJson, parseJson, parseObject } from '../../src/core/json.ts';

describe('isObject and parseObject', () => {
  it('isObject rejects null and arrays', () => {
    expect([{}, { a: 1 }].every(isObject)).toBe(true);
    expect([null, [], 'a', 1, undefined].some(isObject)).toBe(false);
  });

  it('parseObject returns the object in a text, or undefined for any other text', () => {
    expect(parseObject('{"a":[1]}')).toEqual({ a: [1] });
    for (const text of ['[1]', 'null', '"a"', '{', '', undefined, { a: 1 }])
      expect(parseObject(text)).toBeUndefined();
  });
});

describe('parseIfJson and parseJson', () => {
  it('parseIfJson returns undefined, and parseJson throws, for invalid JSON and for nesting deeper than 500 levels', () => {
    const deepest = `${'['.repeat(500)}${']'.repeat(500)}`;
    expect(parseIfJson(deepest)).toEqual(parseJson(deepest));
    for (const text of ['', '{', '{"a":1,}', `[${deepest}]`]) {
      expect(parseIfJson(text)).toBeUndefined();
      expect(() => parseJson(text)).toThrow(JsonError);
    }
  });
});
