import { describe, expect, it } from 'vitest';
import { isObject, JsonError, parseIfJson, parseJson, parseObject } from '../../src/core/json.ts';

describe('an object of JSON', () => {
  it('is neither null nor a list', () => {
    expect([{}, { a: 1 }].every(isObject)).toBe(true);
    expect([null, [], 'a', 1, undefined].some(isObject)).toBe(false);
  });

  it('is what a text holds, and nothing where the text holds another thing or is none', () => {
    expect(parseObject('{"a":[1]}')).toEqual({ a: [1] });
    for (const text of ['[1]', 'null', '"a"', '{', '', undefined, { a: 1 }])
      expect(parseObject(text)).toBeUndefined();
  });
});

describe('JSON without loss', () => {
  it('is nothing, or an error, where a text is no JSON or nested deeper than 500 levels', () => {
    const deepest = `${'['.repeat(500)}${']'.repeat(500)}`;
    expect(parseIfJson(deepest)).toEqual(parseJson(deepest));
    for (const text of ['', '{', '{"a":1,}', `[${deepest}]`]) {
      expect(parseIfJson(text)).toBeUndefined();
      expect(() => parseJson(text)).toThrow(JsonError);
    }
  });
});
