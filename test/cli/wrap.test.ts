import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { wrapLines } from '../../src/cli/texts/output.ts';
import { FOREIGN, HEAD, openBench } from './harness.ts';

const ESCAPE = String.fromCharCode(27);

describe('wrapped lines', () => {
  it.each([
    ['short', 'short'],
    ['one two three four', 'one two\n  three\n  four'],
    ['  one two three four', '  one two\n   three\n   four'],
    [`${ESCAPE}[1mone${ESCAPE}[22m two three`, `${ESCAPE}[1mone${ESCAPE}[22m two\n  three`],
    ['longer-than-the-terminal x', 'longer-than-the-terminal\n  x'],
  ])('wrapped lines have at most ten columns, unless a single word is longer: %j', (text, expected) => {
    expect(wrapLines(text, 10)).toBe(expected);
  });

  it('wrapped lines contain all words in order, and exceed the width only if a single word is longer', () => {
    const word = fc.stringMatching(/^[!-~]{1,30}$/);
    const line = fc.array(word, { maxLength: 20 }).map((words) => words.join(' '));
    fc.assert(
      fc.property(fc.array(line, { maxLength: 5 }), fc.integer({ min: 20, max: 120 }), (lines, columns) => {
        const wrapped = wrapLines(lines.join('\n'), columns);
        expect(wrapped.split(/\s+/)).toEqual(lines.join('\n').split(/\s+/));
        for (const one of wrapped.split('\n'))
          expect(one.length <= columns || !one.trim().includes(' '), one).toBe(true);
      }),
    );
  });

  it('wrapped lines are printed only on a terminal', async () => {
    await using bench = await openBench(
      `${HEAD}mappings:\n  - { name: theirs, target: { namespace: apps }, data: { A: { store: local, key: db.json } } }\n`,
    );
    await bench.write('cluster/apps/theirs.yaml', FOREIGN);
    const piped = (await bench.run('plan')).stdout;
    const shown = (await bench.runWith({ columns: 40 }, 'plan')).stdout;
    const widest = (text: string) => Math.max(...text.split('\n').map((one) => one.length));
    expect(widest(piped)).toBeGreaterThan(40);
    expect(widest(shown)).toBeLessThanOrEqual(40);
    expect(shown.split(/\s+/)).toEqual(piped.split(/\s+/));
  });
});
