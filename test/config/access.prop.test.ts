import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matches } from '../../src/config/access.ts';

const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.', 'A', '\u00e9') });
const glob = fc.string({ unit: fc.constantFrom('a', 'b', '/', '*', '.') });

describe('globs', () => {
  it('without a star match themselves and nothing else', () => {
    fc.assert(fc.property(text, text, (a, b) => matches(a, b) === (a === b)));
  });

  it('agree with the regular expression that they mean', () => {
    fc.assert(
      fc.property(glob, text, (pattern, candidate) => {
        const source = pattern.replace(/\*+|\./g, (token) =>
          token === '.' ? '\\.' : token === '*' ? '[^/]*' : '.*',
        );
        expect(matches(pattern, candidate)).toBe(new RegExp(`^${source}$`, 'u').test(candidate));
      }),
      { numRuns: 2_000 },
    );
  });

  it('with two stars allow whatever one star allows', () => {
    fc.assert(
      fc.property(glob, text, (pattern, candidate) => {
        if (matches(pattern, candidate))
          expect(matches(pattern.replaceAll(/\*+/g, '**'), candidate)).toBe(true);
      }),
    );
  });
});
