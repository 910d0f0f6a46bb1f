import { describe, expect, it } from 'vitest';
import { decodeText } from '../../src/providers/answer.ts';

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
