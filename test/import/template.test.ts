import { describe, expect, it } from 'vitest';
import { SecretValue } from '../../src/core/secret-value.ts';
import { translateTemplate } from '../../src/import/template/translate.ts';
import { compileTemplate } from '../../src/sync/template/compile.ts';
import { createAuthority } from '../fakes/certificates.ts';

const [one, another] = [createAuthority('One'), createAuthority('Another')];
const leaf = one.issue();

const DATA = {
  a: 'A b',
  lines: 'x\ny\n\nz',
  none: '',
  json: '{"n":1,"t":true,"list":["p","q"],"o":{"k":"v"}}',
  'a-b': 'dash',
  encoded: 'aGk=',
  quote: 'say "hi" <b>',
  chain: one.ca + leaf.cert,
  // Certificates of two authorities. The bundle starts with a CA certificate, not with a leaf.
  bundle: `Bag\n${another.ca}${leaf.key}${one.ca}${leaf.cert}`,
};

/** Renders the converted template with our template engine. */
function rendered(template: string, rename?: (name: string) => string): string {
  const result = translateTemplate(template, rename === undefined ? undefined : { rename });
  if (result.kind === 'lost') return `lost: ${result.problems.map(({ message }) => message).join('; ')}`;
  const compiled = compileTemplate(result.value.text);
  if (compiled.kind === 'invalid') return `invalid: ${compiled.problem.message}: ${result.value.text}`;
  const data = new Map(
    Object.entries(DATA).map(([key, text]) => [rename?.(key) ?? key, SecretValue.fromText(text)]),
  );
  const out = compiled.template.render(data, []);
  return out.kind === 'done' ? Buffer.from(out.value.reveal()).toString() : `failed: ${out.problem.message}`;
}

describe('a Go template', () => {
  // Each expected text is the output of Go's text/template with sprig.
  it.each([
    ['{{ .a }}', 'A b'],
    ['{{.a}}', 'A b'],
    ['x {{- .a -}} y', 'xA by'],
    ['{{ .a | upper | b64enc }}', 'QSBC'],
    ['{{ .a | lower | toString | trim }}', 'a b'],
    ['{{ .encoded | b64dec }}', 'hi'],
    ['{{ b64dec .encoded }}', 'hi'],
    ['{{ printf "%s:%s" .a .encoded | b64enc }}', 'QSBiOmFHaz0='],
    ['{{ printf "%d%%-%v" 5 (.a | lower) }}', '5%-a b'],
    ['k: |\n{{ .lines | indent 2 }}', 'k: |\n  x\n  y\n  \n  z'],
    ['k:{{ .lines | nindent 2 }}', 'k:\n  x\n  y\n  \n  z'],
    ['{{ index . "a-b" }}', 'dash'],
    ['{{ .none | default "other" }}', 'other'],
    ['{{ default "other" .a }}', 'A b'],
    ['{{ .a | replace " " "_" }}', 'A_b'],
    ['{{ .a | quote }}', '"A b"'],
    ['{{ .a | squote }}', "'A b'"],
    ['{{ .quote | toRawJson }}', '"say \\"hi\\" <b>"'],
    ['{{ if .none }}yes{{ else }}no{{ end }}', 'no'],
    ['{{ if not .none }}yes{{ end }}', 'yes'],
    ['{{ if not (eq .a "x != y") }}1{{ end }}', '1'],
    ['{{ if not (ne .a "x == y") }}1{{ else }}2{{ end }}', '2'],
    ['{{ if not (eq .a "A b") }}1{{ else }}2{{ end }}', '2'],
    ['{{ if not (eq .a "x and y") }}1{{ end }}', '1'],
    ['{{ if not (upper .a) }}1{{ else }}2{{ end }}', '2'],
    ['{{ if empty .none }}1{{ end }}', '1'],
    ['{{ if not true }}1{{ else }}2{{ end }}', '2'],
    ['{{ if eq .a "A b" }}1{{ else if .a }}2{{ end }}', '1'],
    ['{{ if eq .a "x" }}1{{ else if .a }}2{{ end }}', '2'],
    ['{{ if and .a (ne .none "x") }}ok{{ end }}', 'ok'],
    ['{{ if or .none .a }}ok{{ end }}', 'ok'],
    ['{{ if contains "b" .a }}ok{{ end }}', 'ok'],
    ['{{ with .a }}<{{ . }}{{ $.encoded }}>{{ end }}', '<A baGk=>'],
    ['{{ $x := .a | upper }}{{ $x }}-{{ $x }}', 'A B-A B'],
    ['{{ $x := .a }}{{ if .quote }}{{ $x = "q" }}{{ end }}{{ $x }}{{ .a }}', 'qA b'],
    ['{{ with .a }}{{ $x := . }}{{ $x = "q" }}{{ $x }}{{ end }}{{ .a }}', 'qA b'],
    ['{{ $c := fromJson .json }}{{ $c.o.k }}{{ index $c "list" 1 }}', 'vq'],
    ['{{ (.json | fromJson).n }}', '1'],
    ['{{- range (fromJson .json).list }}\n- {{ . }}\n{{- end }}', '\n- p\n- q'],
    ['{{ range $v := (fromJson .json).list }}{{ $v }},{{ end }}', 'p,q,'],
    ['{{ range $k, $v := (fromJson .json).o }}{{ $k }}={{ $v }}{{ end }}', 'k=v'],
    ['{{ splitList " " .a | join "+" }}', 'A+b'],
    ['{{/* nothing */}}z', 'z'],
    ['a {{- /* nothing */ -}} z', 'az'],
    // The comment separates the text from the trim marker.
    ['a\n{{/* nothing */}} \n{{- .a }}', 'a\nA b'],
    ['{{ .a -}} {{/* nothing */}} z', 'A b z'],
    ['{{ (fromJson .json).n | quote }}', '"1"'],
    ['{{ (fromJson .json).n | toString | toRawJson }}', '"1"'],
    ['{{ print (fromJson .json).n | quote }}', '"1"'],
    ['{{ (fromJson .json).t | quote }}{{ (fromJson .json).t | squote }}', `"true"'true'`],
    ['{{ (fromJson .json).o.k | quote }}', '"v"'],
    ['{% raw %} }} %}', '{% raw %} }} %}'],
    ['{{ "{{ x }}" }}', '{{ x }}'],
    ['{"a":{}}', '{"a":{}}'],
    ['{ {{- "x" }} }}', '{x }}'],
    ['{ {{- /* nothing */ -}} { "x"', '{{ "x"'],
    ['{{ `a"b` }}', 'a"b'],
    // Characters that would end a Liquid tag.
    ['{{ if eq .a "%}" }}1{{ else }}2{{ end }}', '2'],
    ['{{ $x := "%}" }}{{ $x }}{{ printf "-%%}%s" $x }}', '%}-%}%}'],
    ['{{ range splitList "%}" .a }}[{{ . }}]{{ end }}', '[A b]'],
    ['plain text', 'plain text'],
  ])('a Go template renders the same text after conversion: %j', (template, expected) => {
    expect(rendered(template)).toBe(expected);
  });

  it('a Go template keeps the order of certificates in a chain or an unordered bundle', () => {
    const all = `${another.ca}${one.ca}${leaf.cert}`;
    expect(rendered('{{ .bundle | filterPEM "CERTIFICATE" }}')).toBe(all);
    expect(rendered('{{ filterPEM "CERTIFICATE" .bundle | b64enc }}')).toBe(btoa(all));
    expect(rendered('{{ .bundle | filterPEM "PRIVATE KEY" }}')).toBe(leaf.key);
    expect(rendered('{{ .bundle | filterPEM "certificate" }}')).toBe(all);
    expect(rendered('{{ .bundle | filterPEM "private key" }}')).toBe(leaf.key);
  });

  it.each([
    ['leaf', leaf.cert, '; for a self-signed certificate External Secrets returns nothing'],
    ['intermediate', '', ''],
    ['root', one.ca, ', including its root; without a root External Secrets returns nothing'],
  ])(
    'a Go template extracts the %s of a chain, and causes a note if External Secrets would return nothing',
    (part, expected, differs) => {
      const template = `{{ .chain | filterCertChain "${part}" }}`;
      expect(rendered(template)).toBe(expected);
      const result = translateTemplate(template);
      const [note] = result.kind === 'done' ? result.value.notes : [];
      expect(note?.what).toMatch(
        /^`filterCertChain` becomes `pem_\w+`: the certificates must form one chain/,
      );
      expect(note?.what.endsWith(`must form one chain${differs}`)).toBe(true);
    },
  );

  it.each([
    ['{{ now }} {{ randAlphaNum 5 }}', '`now` has no equivalent; `randAlphaNum` has no equivalent'],
    ['{{ .a | htpasswd "u" }}', '`htpasswd` has no equivalent'],
    ['{{ range $k, $v := . }}{{ $k }}{{ end }}', 'all keys at once'],
    ['{{ range $i, $v := splitList "," .a }}{{ $v }}{{ end }}', 'the index of a list'],
    ['{{ .a.b }}', 'a text has no members'],
    ['{{ if and .a (or .none .a) }}x{{ end }}', '`and` and `or` in one condition'],
    ['{{ if not (fromJson .json) }}x{{ end }}', '`not` of a JSON value'],
    ['{{ if not (eq .a "1" "2") }}x{{ end }}', '`eq` in a condition'],
    ['{{ if not (lt 1 2) }}x{{ end }}', '`lt` in a condition'],
    ['{{ template "x" }}', '`template` has no equivalent'],
    ['{{ if .a }}', '`if` has no `end`'],
    ['{{ .a', 'an action is not closed'],
    ['{{ end }}', 'without its beginning'],
    ['{{ printf "%5s" .a }}', '`printf` with these arguments'],
    ['{{ constructor .a }}', '`constructor` has no equivalent'],
    // External Secrets prints all arguments. After a conversion to filters, some arguments would be lost.
    ['{{ quote .a .quote }}', '`quote` with these arguments'],
    ['{{ .a | quote .quote }}', '`quote` with these arguments'],
    ['{{ squote .a .quote }}', '`squote` with these arguments'],
    ['{{ urlquery .a .quote }}', '`urlquery` with these arguments'],
    // The conversion replaces such a variable by the source itself or by the loop item. Neither a source nor a loop
    // item can get a new value.
    ['{{ with $x := .a }}{{ $x = "q" }}{{ end }}{{ .a }}', 'a new value for `$x`'],
    ['{{ if $x := .a }}{{ $x = "q" }}{{ end }}{{ .a }}', 'a new value for `$x`'],
    ['{{ range $v := (fromJson .json).list }}{{ $v = "z" }}{{ $v }}{{ end }}', 'a new value for `$v`'],
  ])('a Go template is reported as not convertible: %j', (template, why) => {
    expect(rendered(template)).toMatch(/^lost: /);
    expect(rendered(template)).toContain(why);
  });

  it.each([
    ['{{ (fromJson .json).n | default "other" }}', /^`default` does not replace 0/],
    ['{{ .a | nospace }}', /^`nospace` keeps/],
    ['{{ .a | quote }}', /^`quote` and `%q` become/],
    ['{{ printf "%q" .a }}', /^`quote` and `%q` become/],
    [
      '{{ .encoded | b64dec | pkcs12key }}',
      /^the output of `base64_decode` must be text .* or be passed to /,
    ],
  ])('a Go template is converted with a note about a different meaning: %j', (template, note) => {
    const result = translateTemplate(template);
    const notes = result.kind === 'done' ? result.value.notes.map(({ what }) => what) : [];
    expect(notes).toContainEqual(expect.stringMatching(note));
  });

  it('a Go template causes no note about numbers if it contains plain text', () => {
    expect(translateTemplate('{{ .none | default "other" }}')).toMatchObject({ value: { notes: [] } });
  });

  it('a Go template with an unsupported part is reported with the line of this part', () => {
    expect(translateTemplate('a\n{{ .a }}\n{{ now }}')).toEqual({
      kind: 'lost',
      problems: [{ line: 3, message: '`now` has no equivalent' }],
    });
  });

  it('a Go template uses the new names of renamed sources', () => {
    expect(rendered('{{ .a }}{{ index . "a-b" }}', (name) => `source_${name}`)).toBe('A bdash');
  });
});
