import { describe, expect, it } from 'vitest';
import { barChart } from '../../bench/harness/svg.ts';

const bars = (svg: string): readonly number[] =>
  [...svg.matchAll(/<rect class="(?:ours|over)"[^>]* width="([\d.]+)"/g)].map(([, width]) => Number(width));

describe('a chart', () => {
  it('a chart draws all values on one scale that starts at zero', () => {
    const [one = 0, three = 0] = bars(
      barChart({
        title: 't',
        note: 'n',
        bars: [
          { label: 'a', value: 1, unit: 's' },
          { label: 'b', value: 3, unit: 's' },
        ],
      }),
    );
    expect(three / one).toBeCloseTo(3, 1);
  });

  it('a chart shows the floor and the goal, and highlights each value that misses its goal', () => {
    const within = barChart({
      title: 't',
      note: 'n',
      bars: [{ label: 'a', value: 5, unit: 's', floor: 4, goal: 6 }],
    });
    expect(within).toMatch(/class="floor"/);
    expect(within).toMatch(/class="goal"/);
    expect(within).not.toContain('(over)');
    const beyond = barChart({ title: 't', note: 'n', bars: [{ label: 'a', value: 7, unit: 's', goal: 6 }] });
    expect(beyond).toMatch(/class="over"/);
    expect(beyond).toContain('7.00 s (over)');
  });

  it('a chart has a text alternative, and colors for both light and dark mode', () => {
    const svg = barChart({ title: 'a < b & "c"', note: 'n', bars: [] });
    expect(svg).toContain('<title id="t">a &lt; b &amp; "c"</title>');
    expect(svg).toContain('prefers-color-scheme: dark');
  });

  it('a chart contains neither NaN nor Infinity when every value is zero', () => {
    const svg = barChart({ title: 't', note: 'n', bars: [{ label: 'a', value: 0, unit: 's' }] });
    expect(svg).not.toMatch(/NaN|Infinity/);
  });
});
