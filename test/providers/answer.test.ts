import { describe, expect, it } from 'vitest';
import { decodeText, isJsonType, parseJsonBody } from '../../src/providers/answer.ts';

describe('the text of an answer', () => {
  const text = Buffer.from('{"errors":["é"]}');
  const inside = text.subarray(0, text.indexOf(0xa9));

  it('is UTF-8 to the byte, a byte order mark included', () => {
    expect(decodeText(text)).toBe('{"errors":["é"]}');
    expect(decodeText(Buffer.from('\ufeffx'))).toBe('\ufeffx');
  });

  it.each([
    ['in another encoding', Buffer.from('{"errors":["é"]}', 'latin1')],
    ['cut inside a character', inside],
  ])('that is %s is refused of a success, and says nothing of any other answer', (_, bytes) => {
    expect(() => decodeText(bytes)).toThrow(expect.objectContaining({ code: 'BAD_ANSWER' }));
    expect(decodeText(bytes, false)).toBe('');
  });
});

describe('the type of an answer', () => {
  it.each(['application/json', 'application/json; charset=utf-8', 'Application/JSON ;charset=utf-8', ''])(
    'may be JSON when it is %j',
    (type) => {
      expect(isJsonType(type)).toBe(true);
    },
  );

  it.each(['text/html', 'text/plain', 'application/jsonp', 'application/json-seq', ' '])(
    'is not JSON when it is %j',
    (type) => {
      expect(isJsonType(type)).toBe(false);
    },
  );

  it.each(['', '<!doctype html>', '{"errors":[]'])('that is not said makes no JSON of %j', (text) => {
    expect(parseJsonBody({ isJson: isJsonType(''), text })).toBeUndefined();
  });
});
