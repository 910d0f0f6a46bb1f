import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/sync/template/budget.ts';
import { compileTemplate } from '../../../src/sync/template/compile.ts';
import { createAuthority } from '../../fakes/certificates.ts';
import { run } from './run.ts';

const BIG = 'x'.repeat(1_000_000);
const { ca } = createAuthority();
const CERTIFICATES = Array.from({ length: 5 }, () => ca).join('');
const MANY = '{% assign l = BIG | slice: 0, 9000 | split: "" %}';

// Without the limits, each of these templates would take minutes or fill the memory.
describe('endless template', () => {
  const bombs: readonly (readonly [string, string, RegExp])[] = [
    [
      'nested loops',
      `${MANY}{% for a in l %}{% for b in l %}{% for c in l %}{% endfor %}{% endfor %}{% endfor %}`,
      /more than 100000 steps/,
    ],
    [
      'a text that doubles',
      `${MANY}{% assign x = "a" %}{% for a in l %}{% assign x = x | append: x %}{% endfor %}`,
      /text of more than/,
    ],
    [
      'a capture that doubles',
      `${MANY}{% assign c = "a" %}{% for a in l %}{% capture c %}{{ c }}{{ c }}{% endcapture %}{% endfor %}`,
      /text of more than/,
    ],
    ['much output', `${MANY}{% for a in l %}{{ BIG }}{% endfor %}`, /text of more than/],
    ['much literal output', `${MANY}{% for a in l %}${'y'.repeat(60_000)}{% endfor %}`, /text of more than/],
    ['a long list', '{{ BIG | split: "" | size }}', /list of more than/],
    ['a list of long parts', `${MANY}{% assign all = l | join: BIG %}`, /text of more than/],
    ['a replacement that grows', '{{ BIG | replace: "x", "yyyyyyyyyy" }}', /text of more than/],
    ['a search for a long text in a long one', '{% if BIG contains BIG %}{% endif %}', /too much text/],
    ['a replacement of a long text', '{{ BIG | replace: BIG, "" }}', /too much text/],
    [
      'lists copied in a loop',
      `${MANY}{% for a in l %}{% for b in l offset: 1 %}{% break %}{% endfor %}{% endfor %}`,
      /too much text/,
    ],
    [
      'values decoded in a loop',
      `${MANY}{% for a in l %}{% assign x = BIG | upcase | downcase %}{% endfor %}`,
      /too much text/,
    ],
    [
      'long texts compared in a loop',
      `${MANY}{% assign y = BIG | append: "" %}{% for a in l %}{% if BIG == y %}{% endif %}{% endfor %}`,
      /too much text/,
    ],
    [
      'certificates sorted in a loop',
      `${MANY}{% for a in l %}{% assign x = C | pem_chain %}{% endfor %}`,
      /too much text/,
    ],
    ['deep JSON', `{% assign o = J | from_json %}{{ o | json }}`, /this is not JSON/],
    ['wide JSON', `{% assign o = W | from_json %}`, /list of more than/],
  ];

  it.each(bombs)('an endless template is stopped early by a limit: %s', (_, text, message) => {
    const start = performance.now();
    const values = {
      BIG,
      C: CERTIFICATES,
      J: `${'['.repeat(600)}${']'.repeat(600)}`,
      W: `[${'0,'.repeat(20_000)}0]`,
    };
    expect(run(text, values)).toMatchObject({ message: expect.stringMatching(message) });
    expect(performance.now() - start).toBeLessThan(5000);
  });
});

describe('template that would overload the parser', () => {
  it.each([
    ['is too long', 'x'.repeat(LIMITS.templateLength + 1)],
    ['has many blocks in each other', '{% if A %}'.repeat(6000)],
    ['has many nested blocks', `${'{% if A %}'.repeat(60)}${'{% endif %}'.repeat(60)}`],
    ['has many nested brackets', `{{ ${'A['.repeat(20_000)} }}`],
    ['opens many outputs', '{'.repeat(65_000)],
    ['opens many texts', '{{ "'.repeat(16_000)],
    ['opens many raw blocks', '{% raw %}'.repeat(7000)],
    ['closes nothing', `{% raw %}${'{%'.repeat(30_000)}`],
    ['is mostly white space', `{%${' '.repeat(60_000)}`],
  ])('a template is refused quickly if it %s', (_, text) => {
    const start = performance.now();
    expect(compileTemplate(text).kind).toBe('invalid');
    expect(performance.now() - start).toBeLessThan(2000);
  });

  it.each([
    ['many outputs', '{{ A }}'.repeat(9000), 'a'.repeat(9000)],
    ['many filters', `{{ A ${'| strip '.repeat(8000)}}}`, 'a'],
    ['many operators', `{{ A ${'or A '.repeat(12_000)}}}`, 'true'],
    ['nested blocks up to the limit', `${'{% if A %}'.repeat(50)}x${'{% endif %}'.repeat(50)}`, 'x'],
  ])('a template is rendered if it has only %s', (_, text, expected) => {
    expect(run(text, { A: 'a' })).toBe(expected);
  });

  it('a template is rendered if its output is exactly as large as a Secret may be', () => {
    expect(run('{{ V }}', { V: 'x'.repeat(LIMITS.outputBytes) })).toHaveLength(LIMITS.outputBytes);
    expect(run('{{ V }}', { V: 'é'.repeat(LIMITS.outputBytes / 2 + 1) })).toMatchObject({
      message: `the output has more than ${LIMITS.outputBytes} bytes`,
    });
  });
});
