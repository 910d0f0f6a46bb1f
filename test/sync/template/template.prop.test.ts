import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FILTERS } from '../../../src/sync/template/filters.ts';
import { run } from './run.ts';

const MARKER = 'MARKER-3f9c';

/** Random pieces of templates, most of them invalid. */
const pieces = fc.constantFrom(
  ...[
    '{{ ',
    ' }}',
    '{% ',
    ' %}',
    '{%- ',
    ' -%}',
    'if ',
    'endif',
    'elsif ',
    'else',
    'unless ',
    'endunless',
    'for x in ',
    'endfor',
  ],
  ...[
    'case ',
    'when ',
    'endcase',
    'assign x = ',
    'capture x',
    'endcapture',
    'raw',
    'endraw',
    'comment',
    'endcomment',
    'break',
    '# ',
  ],
  ...[
    'S',
    'J',
    'B',
    'x',
    'x.a',
    'x[S]',
    'J[S]',
    '["S"]',
    'forloop.index',
    'nil',
    'empty',
    '1',
    '-1',
    '"t"',
    "'",
    '"',
    '(1..3)',
    '[',
    ']',
  ],
  ...[
    ' == ',
    ' contains ',
    ' and ',
    ' or ',
    ' < ',
    ' not ',
    ', ',
    ': ',
    ' | ',
    '\n',
    ' ',
    'é',
    '\u{1F600}',
    '\u0000',
    'word',
  ],
  ...Object.keys(FILTERS).flatMap((name) => [` | ${name}`, ` | ${name}: `]),
);
const outputs = fc
  .tuple(
    fc.constantFrom('S', 'J', 'B', 'S | split: "-"', 'J | from_json'),
    fc.array(fc.constantFrom(...Object.keys(FILTERS)), { maxLength: 4 }),
    fc.constantFrom('', ': S', ': 1', ': S, S', ': 1, 2'),
  )
  .map(([start, names, args]) => `{{ ${start}${names.map((name) => ` | ${name}${args}`).join('')} }}`);
const template = fc.oneof(
  fc.array(pieces, { maxLength: 40 }).map((parts) => parts.join('')),
  fc.array(outputs, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('')),
);
const values = { S: MARKER, J: `{"a":"${MARKER}","b":[1.10,null]}`, B: Uint8Array.of(0xff, 0x00) };

describe('any template', () => {
  it('a template renders identical bytes or fails at an identical position each time, and never reveals a value', () => {
    fc.assert(
      fc.property(template, (text) => {
        const result = run(text, values, ['NONE']);
        expect(run(text, values, ['NONE'])).toEqual(result);
        if (typeof result === 'string') return;
        const lines = text.split('\n');
        expect(result.line).toBeGreaterThanOrEqual(1);
        expect(result.line).toBeLessThanOrEqual(lines.length);
        expect(result.column).toBeGreaterThanOrEqual(1);
        expect(result.message).not.toContain(MARKER);
        expect(result.message).not.toContain('\n');
        expect(result.message).not.toBe('');
      }),
      { numRuns: 3000 },
    );
  });
});

describe('any text', () => {
  const text = fc.string({ unit: 'binary' }).filter((candidate) => candidate.isWellFormed());

  it('a template renders a value unchanged, whatever text the value contains', () => {
    fc.assert(
      fc.property(text, (S) => {
        expect(run('{{ S }}', { S })).toBe(S);
      }),
    );
  });

  it('a text is unchanged after encoding (JSON, base64 or percent) and decoding', () => {
    const there =
      '{{ S | json | from_json }}{{ S | base64 | base64_decode }}{{ S | url_encode | url_decode }}';
    fc.assert(
      fc.property(text, (S) => {
        expect(run(there, { S })).toBe(`${S}${S}${S}`);
      }),
    );
  });

  it('a text becomes JSON that JavaScript parses to that text', () => {
    fc.assert(
      fc.property(fc.json(), (J) => {
        const printed = run('{{ J | from_json | json }}', { J });
        if (typeof printed === 'string') expect(JSON.parse(printed)).toEqual(JSON.parse(J));
        else expect(printed.message).toBe('an object has the same member twice');
      }),
    );
  });
});
