import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EXAMPLE } from '../../scripts/docs/configuration-text.ts';
import { parseYaml } from '../../src/config/files/yaml.ts';
import { loadText } from './memory-fs.ts';

const INTERESTING = [
  ...'\t\n\r :-{}[],\'"&*!|>%@`#?<~=0aA\u0430\u{1F511}',
  '\0',
  '\uFEFF',
  '\u2028',
  '\u202e',
  '\ud800',
];

describe('a mutated valid file', () => {
  const mutations = fc.record({
    at: fc.nat({ max: EXAMPLE.length }),
    cut: fc.nat({ max: 1 }),
    put: fc.oneof(
      fc.constantFrom(...INTERESTING),
      fc.constant(''),
      fc.string({ maxLength: 3, unit: 'binary' }),
    ),
  });

  it('a file with one random change loads, or causes problems with positions inside the file', async () => {
    await fc.assert(
      fc.asyncProperty(mutations, async ({ at, cut, put }) => {
        const text = EXAMPLE.slice(0, at) + put + EXAMPLE.slice(at + cut);
        const loaded = await loadText(text);
        if (loaded.kind === 'invalid') expect(loaded.problems).not.toEqual([]);
        // YAML counts lines by line feeds, so only `\n` separates lines here.
        const lines = text.split('\n');
        for (const { file, line, column, message } of loaded.problems) {
          expect(file).toBe('secretbridge.yaml');
          expect(line).toBeGreaterThanOrEqual(1);
          expect(line).toBeLessThanOrEqual(lines.length);
          expect(column).toBeGreaterThanOrEqual(1);
          expect(column).toBeLessThanOrEqual((lines[line - 1] ?? '').length + 1);
          expect(message).not.toBe('');
          expect(message).not.toMatch(/\p{Cc}|undefined|\[object/u);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('loading never throws an exception, even after many random changes', async () => {
    const soup = fc.array(
      fc.oneof(fc.constantFrom(...INTERESTING), fc.constantFrom('stores:', 'name: ', '- ', '\n  ', 'env')),
    );
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: EXAMPLE.length }), soup, async (at, parts) => {
        await loadText(EXAMPLE.slice(0, at) + parts.join('') + EXAMPLE.slice(at));
        await loadText(parts.join(''));
      }),
      { numRuns: 60 },
    );
  });
});

describe('parsed YAML', () => {
  it('parsing JSON as YAML returns the value from which the JSON was written', () => {
    const json = fc.jsonValue({ maxDepth: 4, noUnicodeString: false });
    fc.assert(
      fc.property(json, (value) => {
        const hasProto = JSON.stringify(value).includes('__proto__');
        if (hasProto || value === null) return;
        const { documents, problems } = parseYaml(JSON.stringify(value), 'a');
        expect(problems).toEqual([]);
        expect(documents[0]?.value).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});
