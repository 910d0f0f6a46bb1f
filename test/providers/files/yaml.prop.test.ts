import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { parseJson } from '../../../src/core/json.ts';
import { yamlToJson } from '../../../src/providers/files/yaml.ts';

const plain = fc.object({
  values: [fc.string(), fc.integer(), fc.boolean(), fc.constant(null)],
  withNullPrototype: false,
});

describe('yamlToJson', () => {
  it('converts any document of texts, whole numbers and words without losing anything', () => {
    fc.assert(
      fc.property(plain, (document) => {
        const json = yamlToJson(stringify(document, { aliasDuplicateObjects: false }));
        expect(JSON.parse(json ?? 'undefined')).toEqual(document);
      }),
    );
  });

  it('keeps the content of a JSON text, because JSON is valid YAML', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        const json = yamlToJson(text);
        if (json !== undefined) expect(JSON.parse(json)).toEqual(JSON.parse(text));
      }),
    );
  });

  it('returns valid JSON or undefined, for any text', () => {
    const yamlish = fc.string({ unit: fc.constantFrom(...'ab:-?[]{}&*!|>\'"%@,# \n01.~') });
    fc.assert(
      fc.property(yamlish, (text) => {
        const json = yamlToJson(text);
        if (json !== undefined) parseJson(json);
      }),
      { numRuns: 500 },
    );
  });
});
