import { describe, expect, it } from 'vitest';
import { decodeText, isJsonType, parseJsonBody } from '../../src/providers/answer.ts';

describe('decodeText', () => {
  const text = Buffer.from('{"errors":["é"]}');
  const inside = text.subarray(0, text.indexOf(0xa9));

  it('decodes UTF-8 without changing a character, and keeps a byte order mark', () => {
    expect(decodeText(text)).toBe('{"errors":["é"]}');
    expect(decodeText(Buffer.from('\ufeffx'))).toBe('\ufeffx');
  });

  it.each([
    ['in another encoding', Buffer.from('{"errors":["é"]}', 'latin1')],
    ['truncated inside a character', inside],
  ])(
    'rejects a successful response that is %s, and returns an empty text for other responses',
    (_, bytes) => {
      expect(() => decodeText(bytes)).toThrow(expect.objectContaining({ code: 'BAD_ANSWER' }));
      expect(decodeText(bytes, false)).toBe('');
    },
  );
});

describe('isJsonType', () => {
  it.each(['application/json', 'application/json; charset=utf-8', 'Application/JSON ;charset=utf-8', ''])(
    'treats a response with the content type %j as JSON',
    (type) => {
      expect(isJsonType(type)).toBe(true);
    },
  );

  it.each(['text/html', 'text/plain', 'application/jsonp', 'application/json-seq', ' '])(
    'does not treat a response with the content type %j as JSON',
    (type) => {
      expect(isJsonType(type)).toBe(false);
    },
  );

  it.each(['', '<!doctype html>', '{"errors":[]'])(
    'does not treat the body %j as JSON if the response has no content type',
    (text) => {
      expect(parseJsonBody({ isJson: isJsonType(''), text })).toBeUndefined();
    },
  );
});
