import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SecretValue } from '../../src/core/secret-value.ts';
import { translateTemplate } from '../../src/import/template/translate.ts';
import { compileTemplate } from '../../src/sync/template/compile.ts';

const PIECES = [
  '{{ .a }}',
  '{{- .a -}}',
  '{{ .a | b64enc }}',
  '{{ if .a }}',
  '{{ else }}',
  '{{ end }}',
  '{{ range .a }}',
  '{{ with .a }}',
  '{{ $x := .a }}',
  '{{ $x }}',
  '{{ fromJson .a }}',
  '{{',
  '}}',
  '{%',
  '%}',
  '"',
  '`',
  '|',
  '(',
  ')',
  ' ',
  '\n',
  'text',
  '\\',
  '{{ "x" }}',
  '{{ printf "%s" .a }}',
  '{{ now }}',
  '{{/* c */}}',
  '{{ index . "k" }}',
  '.',
  '$',
];
const templates = fc.oneof(
  fc.array(fc.constantFrom(...PIECES), { maxLength: 12 }).map((parts) => parts.join('')),
  fc.string({ maxLength: 40 }),
);

describe('any template text', () => {
  it('any template text either becomes a valid template or is reported as not convertible', () => {
    fc.assert(
      fc.property(templates, (template) => {
        const result = translateTemplate(template);
        if (result.kind === 'done')
          expect(compileTemplate(result.value.text)).toMatchObject({ kind: 'template' });
        else expect(result.problems.length).toBeGreaterThan(0);
      }),
      { numRuns: 2000 },
    );
  });

  it('any template text stays unchanged, byte for byte, if it has no actions', () => {
    fc.assert(
      fc.property(
        fc
          .string({
            maxLength: 60,
            unit: fc.constantFrom('{', '{%', '%}', '}', '}}', 'a', '\n', ' ', '"', '-', '#', 'é'),
          })
          .filter((text) => !text.includes('{{')),
        (text) => {
          const result = translateTemplate(text);
          const compiled = compileTemplate(result.kind === 'done' ? result.value.text : '');
          const out =
            compiled.kind === 'template'
              ? compiled.template.render(new Map<string, SecretValue>(), [])
              : compiled;
          expect(out.kind === 'done' ? Buffer.from(out.value.reveal()).toString() : out).toBe(text);
        },
      ),
    );
  });
});
