import { describe, expect, it } from 'vitest';
import { SecretValue } from '../../../src/core/secret-value.ts';
import { checkTemplate, compileTemplate } from '../../../src/sync/template/compile.ts';
import { FILTERS } from '../../../src/sync/template/filters.ts';
import { run, valuesOf } from './run.ts';

const BINARY = Uint8Array.of(0xff, 0xfe, 0x00);

const BEFORE = 'text before the first `when` is never printed';
const UNEXPECTED = (name: string) => `there is no tag \`${name}\`, or it is not expected here`;
const WHOLE = 'a filter in a condition applies to all of it; `assign` the filtered value first';
const ALWAYS = 'a literal next to `and` or `or` is always true; compare it with something';
const UNORDERED = 'lists and objects have no order';
const NO_FILTER = 'there is no filter after the last `|`';
const TWICE = 'the result of a comparison is compared again; join two comparisons with `and`';
const UNCLOSED = 'a text in quotes is not closed (in the quotes of a tag, `%}` is written `\\u0025}`)';

describe('a template', () => {
  it.each([
    ['password: {{ DB_PASSWORD | json }} ca: {{ ["ca.crt"] | base64 }}', 'password: "p\\"ss" ca: Q0E='],
    ['{{ my-key }} {{ ["my-key"] }}', 'dash dash'],
    ['{{ ["empty"] }}{{ ["nil"] }}{{ ["007"] }}', 'Enb'],
    ['{% # a | %}{% comment | %}{% endcomment %}{{ "|" }}{% assign x = A | append: "|" %}{{ x }}', '|a|'],
    ['{%- if A == "a" and B != "a" -%} yes {%- else -%} no {%- endif -%}', 'yes'],
    ['{% unless A contains "x" %}no x{% endunless %}', 'no x'],
    ['{% case A %}{% when "b", "a" %}hit{% else %}miss{% endcase %}', 'hit'],
    [
      '{% case A %} {% # why %}{% comment %}{% when %}{% endcomment %}\n{% when "b" or "a" %}hit{% endcase %}',
      'hit',
    ],
    [
      '{% case A %}{% when B or A %}{% case B %}{% when "a" %}{% else %}in{% endcase %}{% else %}out{% endcase %}',
      'in',
    ],
    [
      '{% raw %}{% break %}{% when %}{% endraw %}{% if A %}{% raw %}{% endif %}{% endraw %}{% endif %}',
      '{% break %}{% when %}{% endif %}',
    ],
    [
      '{% assign l = "a,b" | split: "," %}{% for i in l %}{% case i %}{% when "b" %}{% break %}{% else %}{{ i }}{% endcase %}{% endfor %}',
      'a',
    ],
    ['{% assign x = A | upcase %}{{ x }}{{ x | downcase }}', 'Aa'],
    [
      '{% if A | size %}{% assign b = B | upcase %}{% if b == "B" and A != "" %}yes{% endif %}{% endif %}',
      'yes',
    ],
    ['{% capture x %}<{{ A }}>{% endcapture %}{{ x }}{{ x }}', '<a><a>'],
    ['{% raw %}{{ A }}{% endraw %}', '{{ A }}'],
    ['{% comment %}{{ NOT_THERE | nothing }}{% endcomment %}x{% # note %}', 'x'],
    ['{% assign l = "a,b,c" | split: "," %}{% for i in l %}{{ forloop.index }}{{ i }}{% endfor %}', '1a2b3c'],
    [
      '{% assign l = "a,b,c" | split: "," %}{% for i in l reversed limit: 2 offset: 1 %}{{ i }}{% endfor %}',
      'cb',
    ],
    [
      '{% assign l = "a,b" | split: "," %}{% for i in l %}{% unless forloop.last %}{{ i }}{% continue %}{% endunless %}{% break %}{% endfor %}',
      'a',
    ],
    [
      '{% assign l = "" | split: "," | slice_none %}',
      expect.objectContaining({ message: 'there is no filter `slice_none`' }),
    ],
    ['a\r\n\u{1F600}\u0000{{ A }}\n', 'a\r\n\u{1F600}\u0000a\n'],
    ['', ''],
  ])('a template renders %j as %j', (text, expected) => {
    const values = {
      DB_PASSWORD: 'p"ss',
      'ca.crt': 'CA',
      'my-key': 'dash',
      empty: 'E',
      nil: 'n',
      '007': 'b',
      A: 'a',
      B: 'b',
    };
    expect(run(text, values)).toEqual(expected);
  });

  it('a template renders identical bytes each time, because it keeps no state', () => {
    const compiled = compileTemplate('{% assign n = A | append: "x" %}{{ n }}{% if B %}B{% endif %}');
    if (compiled.kind !== 'template') throw new Error('it should parse');
    const { render } = compiled.template;
    const first = render(valuesOf({ A: '1', B: '1' }), []);
    const other = render(valuesOf({ A: '2' }), ['B']);
    const again = render(valuesOf({ A: '1', B: '1' }), []);
    if (first.kind !== 'done' || again.kind !== 'done' || other.kind !== 'done')
      throw new Error('they should render');
    expect(first.value.equals(again.value)).toBe(true);
    expect(first.value.equals(SecretValue.fromText('1xB'))).toBe(true);
    expect(other.value.equals(SecretValue.fromText('2x'))).toBe(true);
  });
});

describe('template that cannot be parsed', () => {
  it.each([
    ['a\n  {{ A | nope }}', 2, 3, 'there is no filter `nope`'],
    ['{% include "other" %}', 1, 1, 'there is no tag `include`, or it is not expected here'],
    ['{% render "other" %}', 1, 1, 'there is no tag `render`, or it is not expected here'],
    ['{% layout "other" %}', 1, 1, 'there is no tag `layout`, or it is not expected here'],
    [
      '{% tablerow i in A %}{% endtablerow %}',
      1,
      1,
      'there is no tag `tablerow`, or it is not expected here',
    ],
    ['{% increment A %}', 1, 1, 'there is no tag `increment`, or it is not expected here'],
    ['{% liquid echo A %}', 1, 1, 'there is no tag `liquid`, or it is not expected here'],
    ['{{ "now" | date: "%s" }}', 1, 1, 'there is no filter `date`'],
    ['{{ A | sha256 }}', 1, 1, 'there is no filter `sha256`'],
    ['{{ A | sample }}', 1, 1, 'there is no filter `sample`'],
    ['x {% if A %}', 1, 3, '`{% if A %}` is not closed'],
    ['{{ A', 1, 1, '`{{ A` is not closed'],
    ['{% endif %}', 1, 1, 'there is no tag `endif`, or it is not expected here'],
    ['{{ }}', 1, 4, 'something is missing here'],
    ['{{ A json }}', 1, 1, 'there are two values with nothing between them; a filter needs a `|`'],
    ['{{ A, 1 }}', 1, 1, '`, 1` is not understood here'],
    ['{% if A or %}{% endif %}', 1, 1, 'an operator lacks a value'],
    ['{{ A | upcase | }}', 1, 1, NO_FILTER],
    ['{{- A | -}}', 1, 1, NO_FILTER],
    ['{% assign x = A | %}', 1, 1, NO_FILTER],
    ['{% if A | %}{% endif %}', 1, 1, NO_FILTER],
    ['{% if A %}a{% elsif B | %}b{% endif %}', 1, 12, NO_FILTER],
    ['{% unless A %}a{% elsif B | upcase | -%}b{% endunless %}', 1, 16, NO_FILTER],
    ['{% if A == "a" == "b" %}{% endif %}', 1, 1, TWICE],
    ['{% if A and A != "b" != "a" %}{% endif %}', 1, 1, TWICE],
    ['{{ A | append }}', 1, 1, 'the filter `append` takes 1 argument, not 0'],
    ['{{ A | slice: 1, 2, 3 }}', 1, 1, 'the filter `slice` takes 1 to 2 arguments, not 3'],
    ['{{ A | append: x: 1 }}', 1, 1, 'the filter `append` takes no named arguments'],
    ['{% for i in A | split: "," %}{% endfor %}', 1, 1, '`| split: ","` is not understood here'],
    ['{% for i in A foo: 1 %}{% endfor %}', 1, 1, '`foo` is not understood here'],
    ['{% for i in (1..3) %}{% endfor %}', 1, 13, 'ranges such as `(1..3)` are not available'],
    ['{{ A[(1..2)] }}', 1, 6, 'ranges such as `(1..3)` are not available'],
    // A filter applies to the whole expression in front of it. The result would be the text `FALSE`, and any text
    // counts as true.
    ['{% if A == "b" | upcase %}yes{% endif %}', 1, 1, WHOLE],
    ['{% if not A | upcase %}yes{% endif %}', 1, 1, WHOLE],
    ['{% if B %}{% elsif A contains "b" | append: "c" %}yes{% endif %}', 1, 1, WHOLE],
    ['{% unless A == B | default: "b" %}yes{% endunless %}', 1, 1, WHOLE],
    // These conditions look as if they compared `A` with both texts. But a text or a number without an operator always
    // counts as true.
    ['{% if A == "x" or "y" %}yes{% endif %}', 1, 1, ALWAYS],
    ['{% if A and "y" and B %}yes{% endif %}', 1, 1, ALWAYS],
    ['{% if B %}{% elsif A contains "x" or 5 %}yes{% endif %}', 1, 1, ALWAYS],
    ['{% unless A == "x" or not B or "y" %}yes{% endunless %}', 1, 1, ALWAYS],
    ['{% assign x = A == "x" or "y" %}{{ x }}', 1, 1, ALWAYS],
    // If the engine does not understand a part of a branch, it ignores the rest of that branch.
    ['{% case A %}{% when "b" "a" %}yes{% endcase %}', 1, 13, '`"a"` is not understood here'],
    ['{% case A %}{% when "b" and "a" %}yes{% endcase %}', 1, 13, '`and "a"` is not understood here'],
    ['{% case A %}{% when "b", %}yes{% endcase %}', 1, 13, 'something is missing here'],
    ['{% case A %}{% when %}yes{% endcase %}', 1, 13, 'something is missing here'],
    ['{% if B %}1{% elsif A, 1 %}2{% endif %}', 1, 12, '`, 1` is not understood here'],
    ['{% case A %}{% when "b" %}1{% else A %}2{% endcase %}', 1, 28, '`A` is not understood here'],
    ['{% case A %}{% when "b" %}1{% endcase A %}', 1, 28, '`A` is not understood here'],
    ['{% case A %}x{% when "a" %}1{% endcase %}', 1, 13, BEFORE],
    ['{% case A %}{{ A }}{% when "a" %}1{% endcase %}', 1, 13, BEFORE],
    ['{% case A %}{% assign x = A %}{% when "a" %}1{% endcase %}', 1, 13, BEFORE],
    ['{% case A %}{% else %}1{% when "a" %}2{% endcase %}', 1, 24, UNEXPECTED('when')],
    ['{% case A %}{% else %}1{% else %}2{% endcase %}', 1, 24, UNEXPECTED('else')],
    ['a{% break %}b', 1, 2, UNEXPECTED('break')],
    ['{% if A %}{% continue %}{% endif %}b', 1, 11, UNEXPECTED('continue')],
    // If a text is not closed, the engine drops its last letter.
    ['{% assign x = "abc %}{{ x }}', 1, 15, UNCLOSED],
    ["{% if A == 'it %}yes{% endif %}", 1, 12, UNCLOSED],
    ['{% if A == "b\\" %}yes{% endif %}', 1, 12, UNCLOSED],
    ['{% if A == "%}" %}yes{% endif %}', 1, 12, UNCLOSED],
    ['{% if A %}{% elsif A == "%}" %}yes{% endif %}', 1, 25, UNCLOSED],
    ['{% case A %}{% when "%}" %}yes{% endcase %}', 1, 21, UNCLOSED],
    ['{% for i in "a%}b" %}{{ i }}{% endfor %}', 1, 13, UNCLOSED],
    ['{% assign x = A | append: "%}" %}{{ x }}', 1, 27, UNCLOSED],
    [
      '{% if A %}{% for i in (1..3) %}{% endfor %}{% endif %}',
      1,
      23,
      'ranges such as `(1..3)` are not available',
    ],
  ])('the template %j causes an error at line %d and column %d: %s', (text, line, column, message) => {
    // For an unknown filter, the problem lists the known filters, from which suggestions are made.
    const [, name] = /^there is no filter `(.*)`$/.exec(message) ?? [];
    const unknown = name === undefined ? {} : { unknown: { name, known: Object.keys(FILTERS) } };
    expect(run(text, { A: 'a' })).toEqual({ line, column, message, ...unknown });
    expect(checkTemplate(text)).toEqual({ line, column, message, ...unknown });
  });

  it('a template with names that are not in the list of known names is rejected with these names', () => {
    expect(checkTemplate('{{ A }}\n{{ B.c | json }}', ['A'])).toEqual({
      line: 2,
      column: 4,
      message: 'there is no key `B`',
      unknown: { name: 'B', known: ['A'] },
    });
    expect(checkTemplate('{{ A }}{{ ["b.c"] }}', ['A', 'b.c'])).toBeUndefined();
    expect(
      checkTemplate('{% assign x = A %}{% for i in x %}{{ i }}{{ forloop.index }}{% endfor %}', ['A']),
    ).toBeUndefined();
    expect(checkTemplate('{{ B }}')).toBeUndefined();
    expect(checkTemplate('{{ ca.crt }}', ['ca.crt'])?.message).toContain('the key is written `["ca.crt"]`');
  });
});

describe('template that cannot be rendered', () => {
  it.each([
    ['{{ MISSING }}', 1, 4, 'there is no `MISSING`'],
    ['\n\n  {{ MISSING | json }}', 3, 6, 'there is no `MISSING`'],
    ['{% if MISSING %}{% endif %}', 1, 7, 'there is no `MISSING`'],
    ['{{ A | append: MISSING }}', 1, 16, 'there is no `MISSING`'],
    ['{{ ca.crt }}', 1, 4, 'there is no `ca.crt`; the key is written `["ca.crt"]`'],
    ['{{ A.b }}', 1, 4, 'there is no `A.b`'],
    ['{{ size }}', 1, 4, 'there is no `size`'],
    ['{% for i in A %}{% endfor %}', 1, 1, 'this is not a list; `split` makes one of text'],
    ['{{ nil }}', 1, 1, 'there is no value here; `default` can give one'],
    ['{{ A | split: "" }}', 1, 1, 'this is a list or an object, not text; `json` or `join` make text of it'],
    ['{{ "\u{1F600}"[0] }}', 1, 1, 'the output holds half of a surrogate pair'],
    ['{% assign l = A | split: "" %}{% if l < 3 %}{% endif %}', 1, 31, UNORDERED],
    ['{% assign o = "{}" | from_json %}{% if 3 >= o %}{% endif %}', 1, 34, UNORDERED],
  ])('the template %j causes an error at line %d and column %d: %s', (text, line, column, message) => {
    expect(run(text, { A: 'a', 'ca.crt': 'c' })).toEqual({ line, column, message });
  });

  it('a template that cannot be rendered shows no value in its error', () => {
    const secret = 'hunter2-hunter2';
    for (const text of [
      '{% assign o = J | from_json %}{{ o[S] }}',
      '{{ S | from_json }}',
      '{{ S | base64_decode }}',
      '{{ S | pem_leaf }}',
      '{{ S | pem_key }}',
      '{{ S | url_decode }}',
      '{{ S | slice: S }}',
      '{{ S | indent: S }}',
      '{% for i in S %}{% endfor %}',
      '{{ S.nothing }}',
      '{{ J[S] }}',
    ]) {
      const problem = run(text, { S: `${secret}%`, J: '{"a":1}' });
      expect(problem, text).toEqual(expect.objectContaining({ message: expect.any(String) }));
      expect(JSON.stringify(problem)).not.toContain('hunter2');
    }
  });
});

describe('absent optional source in a template', () => {
  it('an absent source counts as false in a condition, and is replaced by a default', () => {
    const text = '{% if TOKEN %}yes{% else %}no{% endif %} {{ TOKEN | default: "none" }}';
    expect(run(text, {}, ['TOKEN'])).toBe('no none');
    expect(run(text, { TOKEN: 't' })).toBe('yes t');
  });

  it('an absent source is treated like `nil` in comparisons, which are then false', () => {
    for (const comparison of ['< 3', '<= 3', '>= 0', '> -1', '< "a"', '<= TOKEN', '>= nil'])
      for (const name of ['TOKEN', 'o.none'])
        expect(
          run(
            `{% assign o = J | from_json %}{% if ${name} ${comparison} %}yes{% else %}no{% endif %}`,
            { J: '{"none":null}' },
            ['TOKEN'],
          ),
          `${name} ${comparison}`,
        ).toBe('no');
    expect(run('{% if 3 > TOKEN or 0 <= TOKEN %}yes{% else %}no{% endif %}', {}, ['TOKEN'])).toBe('no');
    expect(run('{% if N < 50 and N >= "42" and 41 < N %}yes{% endif %}', { N: '42' })).toBe('yes');
  });

  it('an absent source causes an error if a template prints it', () => {
    expect(run('{{ TOKEN }}', {}, ['TOKEN'])).toMatchObject({
      message: 'there is no value here; `default` can give one',
    });
    expect(run('{{ TOKEN | upcase }}', {}, ['TOKEN'])).toMatchObject({
      message: 'there is no value here; `default` can give one',
    });
  });
});

describe('value that is not UTF-8', () => {
  const refused = { message: 'the value of `KEY` is not UTF-8 text; `base64` makes text of it' };

  it('bytes that are not UTF-8 are encoded as base64, even if a variable holds them', () => {
    expect(run('{{ KEY | base64 }}', { KEY: BINARY })).toBe('//4A');
    expect(run('{% assign x = KEY %}{{ x | base64_encode }}{{ x | base64url }}', { KEY: BINARY })).toBe(
      '//4A__4A',
    );
    expect(run('{{ "//4A" | base64_decode | base64 }}')).toBe('//4A');
  });

  it.each([
    '{{ KEY }}',
    '{{ KEY | json }}',
    '{{ KEY | upcase }}',
    '{{ KEY | size }}',
    '{{ KEY | default: "x" }}',
    '{{ "x" | append: KEY }}',
    '{% if KEY %}{% endif %}',
    '{% if KEY == "x" %}{% endif %}',
    '{% if "x" contains KEY %}{% endif %}',
    '{% case KEY %}{% when "x" %}{% endcase %}',
    '{% for i in KEY %}{% endfor %}',
    '{% capture x %}{{ KEY }}{% endcapture %}',
  ])('bytes that are not UTF-8 are refused in the template %j', (text) => {
    expect(run(text, { KEY: BINARY })).toMatchObject(refused);
  });

  it('bytes that are not UTF-8 are ignored if the template does not use them', () => {
    expect(run('{{ A }}', { KEY: BINARY, A: 'a' })).toBe('a');
  });
});

describe('property that JavaScript objects inherit', () => {
  const names = [
    'constructor',
    '__proto__',
    'prototype',
    'toString',
    'valueOf',
    'hasOwnProperty',
    '__defineGetter__',
  ];
  const things = ['', 'A.', 'KEY.', 'o.', 'n.', 'l.', 'forloop.', 'o.__proto__.', 'KEY.__proto__.'];

  // The number `n` has `valueOf` as an own property, so a template may read `n.valueOf`.
  const paths = things
    .flatMap((thing) => names.map((name) => `${thing}${name}`))
    .filter((path) => path !== 'n.valueOf');
  it.each(paths)('an inherited property cannot be reached by %s', (path) => {
    const text = `{% assign o = J | from_json %}{% assign n = o.n %}{% assign l = A | split: "" %}{% for i in l %}{{ ${path} }}{% endfor %}`;
    expect(run(text, { A: 'a', KEY: BINARY, J: '{"n":1.0}' })).toEqual(
      expect.objectContaining({ message: expect.any(String) }),
    );
  });

  it('a key that has the name of an inherited property can be used', () => {
    const values = Object.fromEntries(names.map((name) => [name, name.length.toString()]));
    for (const name of names)
      expect(run(`{{ ${name} }}{{ ["${name}"] }}`, { ...values, ['__proto__']: '9' })).toMatch(/^(\d+)\1$/);
  });
});
