import type { TextlintRuleModule } from '@textlint/types';
import { type Forbidden, PRIVATE_WORDS, RIDDLES, WORDS_PER_SENTENCE } from './vocabulary.ts';

interface Sentence {
  readonly text: string;
  readonly offset: number;
}

/** Replaces everything that is not prose with text of the same length, so that offsets stay correct. */
export function maskCode(raw: string): string {
  const blank = (text: string): string => text.replace(/[^\n]/g, ' ');
  const word = (text: string): string => text.replace(/[^\n]/g, '_');
  return (
    raw
      .replace(/\$\{[^{}]*\}/g, word)
      // Types and drawings in a docstring.
      .replace(/@typedef \{\{[\s\S]*?\}\}|[^\n]*[│╰╯╲┐└─][^\n]*/g, blank)
      .replace(/@(?:param|typedef|type|returns) \{[^\n]*\}/g, blank)
      .replace(/\\?`[^`]*`/g, word)
      .replace(/\]\([^)]*\)/g, blank)
      .replace(/<!--[\s\S]*?-->|<\/?[a-z][^>]*>/g, blank)
      .replace(/https?:\/\/\S+/g, word)
      .replace(/\n[ \t]*\/\/|\n[ \t]*\*(?!\/)|^\/\*\*?|^\/\/|\*\/$/g, blank)
  );
}

/**
 * Splits text into sentences. A sentence ends at `.`, `!` or `?`, at a list item, at a docstring tag or at an empty
 * line.
 */
export function splitSentences(text: string): Sentence[] {
  const ends =
    /(?<=[.!?]["')\]*_]*)\s+(?=["'([*_`]*(?:[A-Z0-9_]|secretbridge\b))|\n\s*\n| · |\n\s*(?=- |\d+\. |@|\|)|\\n/g;
  const sentences: Sentence[] = [];
  let start = 0;
  for (const { index, 0: end } of [...text.matchAll(ends), { index: text.length, 0: '' }]) {
    const part = text.slice(start, index);
    const lead = /^[\s"'([*\-–|>#]*/.exec(part)?.[0].length ?? 0;
    if (part.trim() !== '')
      sentences.push({ text: part.slice(lead).replace(/\s/g, ' '), offset: start + lead });
    start = index + end.length;
  }
  return sentences;
}

export function countWords(sentence: string): number {
  return sentence.split(/\s+/).filter((word) => /[\p{L}_\d]/u.test(word)).length;
}

type Report = (message: string, start: number, length: number) => void;
/** @param original The sentence before masking, with its code spans and comment marks. */
type Visit = (sentence: Sentence, report: Report, original: string) => void;

/** Creates a rule that visits every sentence of paragraphs, headings and table cells. */
function sentenceRule(visit: Visit): TextlintRuleModule {
  return ({ Syntax, RuleError, report, getSource, locator }) => {
    const visitNode = (node: Parameters<typeof report>[0]): void => {
      const source = getSource(node);
      for (const sentence of splitSentences(maskCode(source))) {
        const { offset, text } = sentence;
        const tell: Report = (message, start, length) => {
          const padding = locator.range([offset + start, offset + start + length]);
          report(node, new RuleError(message, { padding }));
        };
        visit(sentence, tell, source.slice(offset, offset + text.length));
      }
    };
    return { [Syntax.Paragraph]: visitNode, [Syntax.Header]: visitNode, [Syntax.TableCell]: visitNode };
  };
}

function forbid(list: readonly Forbidden[]): TextlintRuleModule {
  return sentenceRule(({ text }, report) => {
    for (const { pattern, instead } of list) {
      const match = pattern.exec(text);
      if (match !== null)
        report(`"${match[0].slice(0, 40).trim()}": ${instead}`, match.index, Math.min(match[0].length, 40));
    }
  });
}

export const plainWords = forbid(PRIVATE_WORDS);
export const plainConstructions = forbid(RIDDLES);
export const shortSentences = sentenceRule(({ text }, report) => {
  const count = countWords(text);
  if (count > WORDS_PER_SENTENCE)
    report(`${count} words: split the sentence (at most ${WORDS_PER_SENTENCE})`, 0, 1);
});
/** Reports every sentence of at least four words. `--sample` draws from these reports. */
export const everySentence = sentenceRule(({ text }, report, original) => {
  if (countWords(text) >= 4) report(original.replace(/\s+(?:\/\/|\*)?\s*/g, ' ').trim(), 0, 1);
});
