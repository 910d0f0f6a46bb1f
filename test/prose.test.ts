import { describe, expect, it } from 'vitest';
import { lintText } from '../scripts/prose/lint.ts';
import { countWords, maskCode, splitSentences } from '../scripts/prose/rules.ts';

async function messages(text: string, path: string): Promise<string[]> {
  return (await lintText(text, path)).map(({ line, message }) => `${line}: ${message}`);
}

describe('the prose linter', () => {
  it('finds private words in documents', async () => {
    await expect(messages('# Title\n\nThe board keeps it.\n', 'docs/a.md')).resolves.toEqual([
      '3: "board": target state store',
    ]);
  });

  it('finds forbidden constructions in comments, test names and messages, and reports their line', async () => {
    const source = [
      '/** Reads a file.',
      ' *',
      ' * Nobody reads it. */',
      "export const message = 'Whoever asks gets an answer';",
      "it('is made anew', () => {});",
      '// Of a file that is gone',
      '// the hash is kept.',
    ].join('\n');
    await expect(messages(source, 'test/a.test.ts')).resolves.toEqual([
      '3: "Nobody": no one, or name the actor',
      '5: "anew": again',
      '6: "Of": put the subject first',
    ]);
    await expect(messages(source, 'src/a.ts')).resolves.toContain('4: "Whoever": name the actor');
  });

  it('counts the words of a sentence that spans several lines', async () => {
    const long = Array.from({ length: 31 }, (_, index) => (index % 8 === 7 ? 'word\n//' : 'word')).join(' ');
    await expect(messages(`// ${long}.\nexport {};\n`, 'src/a.ts')).resolves.toEqual([
      '1: 31 words: split the sentence (at most 30)',
    ]);
  });

  it('skips code spans, links and fenced code', async () => {
    const text = 'Read `board.ts` in [it](./board.md).\n\n```ts\n// Nobody.\n```\n';
    await expect(messages(text, 'docs/a.md')).resolves.toEqual([]);
  });
});

describe('splitSentences', () => {
  it('splits at full stops, list items and empty lines', () => {
    const texts = splitSentences('One. Two?\n\nThree\n- four\n- five e.g. this').map(({ text }) => text);
    expect(texts).toEqual(['One.', 'Two?', 'Three', 'four', 'five e.g. this']);
  });
});

describe('maskCode', () => {
  it('maskCode keeps the length of a text', () => {
    const raw = '/** a `b c` [d](e) f */';
    expect(maskCode(raw)).toHaveLength(raw.length);
    expect(countWords(maskCode(raw))).toBe(4);
  });
});
