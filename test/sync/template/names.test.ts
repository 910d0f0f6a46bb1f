import fc from 'fast-check';
import { Token } from 'liquidjs';
import { describe, expect, it, vi } from 'vitest';
import { checkTemplate } from '../../../src/sync/template/compile.ts';
import { createEngine } from '../../../src/sync/template/engine.ts';
import { freeNames } from '../../../src/sync/template/names.ts';

const engine = createEngine();

function ours(text: string): readonly string[] {
  return Array.from(freeNames(engine.parse(text)), ({ name, token }) =>
    [name, ...token.getPosition()].join(' '),
  );
}

/** Returns the names that the template engine finds, in text order. */
function theirs(text: string): readonly string[] {
  const { globals } = engine.analyzeSync(engine.parse(text), { partials: false });
  return Object.values(globals)
    .flat()
    .map(({ segments: [name], location: { row, col } }) => `${String(name)} ${row} ${col}`);
}

describe('names that a template uses', () => {
  it.each([
    ['{{ A }}{{ A }}', ['A 1 4', 'A 1 11']],
    ['{% assign x = x %}{{ x }}', ['x 1 15']],
    ['{% if A %}{% assign x = B %}{% endif %}{{ x }}', ['A 1 7', 'B 1 25']],
    ['{% for x in L %}{{ x.a[B] }}{{ forloop.index }}{% endfor %}{{ x }}', ['L 1 13', 'B 1 24', 'x 1 63']],
    ['{{ ["ca.crt"] }}{{ A["b"] }}{{ [A].b[C] }}', ['ca.crt 1 4', 'A 1 20', 'A 1 32', 'C 1 38']],
    ['{{ A | append: B | replace: "x", C }}', ['A 1 4', 'B 1 16', 'C 1 34']],
    [
      '{% case A %}{% when B, "x" %}{{ C }}{% else %}{{ D }}{% endcase %}',
      ['A 1 9', 'B 1 21', 'C 1 33', 'D 1 50'],
    ],
    ['{% raw %}{{ A }}{% endraw %}{% comment %}{{ B }}{% endcomment %}{{ nil }}{{ true }}', []],
  ])('the names in the template %s are found', (text, expected) => {
    expect(ours(text)).toEqual(expected);
  });

  it('the names found in a template are exactly the names that the template engine finds', () => {
    const name = fc.constantFrom('A', 'B', 'x', 'y', 'forloop');
    const path = fc
      .tuple(
        name,
        fc.array(
          fc.oneof(
            name.map((property) => `.${property}`),
            name.map((index) => `[${index}]`),
            fc.constant('["k.l"]'),
          ),
          { maxLength: 2 },
        ),
      )
      .map(([root, more]) => root + more.join(''));
    const value = fc.oneof(path, fc.constantFrom('"t"', '1', 'nil', '["A"]', '["z.z"].b', '[A].b[B]'));
    const filtered = fc
      .tuple(
        value,
        fc.array(
          fc.oneof(
            fc.constant(' | upcase'),
            value.map((argument) => ` | append: ${argument}`),
          ),
          { maxLength: 2 },
        ),
      )
      .map(([one, filters]) => one + filters.join(''));
    const { text } = fc.letrec<{ text: string; piece: string }>((tie) => ({
      text: fc.array(tie('piece'), { maxLength: 4 }).map((all) => all.join('\n')),
      piece: fc.oneof(
        { maxDepth: 3 },
        filtered.map((expression) => `{{ ${expression} }}`),
        fc.tuple(name, filtered).map(([to, expression]) => `{% assign ${to} = ${expression} %}`),
        fc
          .tuple(value, tie('text'), value, tie('text'))
          .map(([a, b, c, d]) => `{% if ${a} == ${c} %}${b}{% elsif ${c} %}${d}{% endif %}`),
        fc
          .tuple(value, tie('text'))
          .map(([a, b]) => `{% unless ${a} or ${a} %}${b}{% else %}t{% endunless %}`),
        fc
          .tuple(name, path, value, tie('text'))
          .map(([a, b, c, d]) => `{% for ${a} in ${b} limit: ${c} %}${d}{% else %}${d}{% endfor %}`),
        fc.tuple(name, tie('text')).map(([a, b]) => `{% capture ${a} %}${b}{% endcapture %}`),
        fc
          .tuple(value, value, tie('text'))
          .map(([a, b, c]) => `{% case ${a} %}{% when ${b}, ${a} %}${c}{% endcase %}`),
      ),
    }));
    fc.assert(
      fc.property(text, (template) => {
        expect(ours(template).toSorted()).toEqual(theirs(template).toSorted());
      }),
      { numRuns: 500 },
    );
  });

  it('the names in a template are found in linear time', () => {
    using positionLookups = vi.spyOn(Token.prototype, 'getPosition');
    const used = '{% assign x = A %}{{ x }}{{ A }}'.repeat(1_800);
    const places = Array.from(freeNames(engine.parse(used)), ({ token }) => token);
    expect(places).toHaveLength(3_600);
    expect(checkTemplate(`${used}\n{{ B }}`, ['A'])).toMatchObject({ line: 2, column: 4 });
    expect(checkTemplate(used, ['A'])).toBeUndefined();
    // Computing positions is slow, so only the position of the missing name is computed.
    expect(positionLookups).toHaveBeenCalledTimes(1);
  });
});
