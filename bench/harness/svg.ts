// Draws SVG bar charts, which are simple enough to need no library. Colors are set by CSS classes, so one file works in
// light and dark mode.

export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly unit: string;
  /** The smallest possible value, drawn as a line. */
  readonly floor?: number;
  /** The goal, drawn as a dashed line. */
  readonly goal?: number;
}

export interface Chart {
  readonly title: string;
  readonly note: string;
  readonly bars: readonly Bar[];
}

const WIDTH = 760;
const LABEL = 300;
const VALUE = 140;
const ROW = 30;
const TOP = 64;

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-size: 16px; font-weight: 600; }
  .note { fill: #59636e; }
  .ours { fill: #2f6f9f; }
  .over { fill: #b3541e; }
  .floor { stroke: #1f2328; stroke-width: 2; }
  .goal { stroke: #59636e; stroke-width: 1.5; stroke-dasharray: 3 3; }
  .page { fill: #ffffff; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .note { fill: #9198a1; }
    .ours { fill: #6fb1de; }
    .over { fill: #e8935b; }
    .floor { stroke: #e6edf3; }
    .goal { stroke: #9198a1; }
    .page { fill: #0d1117; }
  }`;

/** Draws horizontal bars on one scale from zero. Bars beyond their goal have a different color and a label. */
export function barChart({ title, note, bars }: Chart): string {
  const most = Math.max(
    ...bars.flatMap(({ value, floor = 0, goal = 0 }) => [value, floor, goal]),
    Number.EPSILON,
  );
  const x = (value: number) => LABEL + (value / most) * (WIDTH - LABEL - VALUE);
  const height = TOP + bars.length * ROW + 34;
  const drawn = bars.map((bar, index) => drawBar(bar, TOP + index * ROW, x));
  const legend = 'line: the floor, measured in the same run; dashes: the goal';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="t">
<style>${STYLE}
</style>
<title id="t">${escaped(title)}</title>
<rect class="page" width="${WIDTH}" height="${height}" rx="6"/>
<text class="title" x="16" y="28">${escaped(title)}</text>
<text class="note" x="16" y="48">${escaped(note)}</text>
${drawn.join('\n')}
<text class="note" x="16" y="${height - 12}">${legend}</text>
</svg>
`;
}

function drawBar({ label, value, unit, floor, goal }: Bar, y: number, x: (value: number) => number): string {
  const isOver = goal !== undefined && value > goal;
  const line = (name: string, at: number) => {
    const where = x(at).toFixed(1);
    return `<line class="${name}" x1="${where}" x2="${where}" y1="${y}" y2="${y + ROW - 6}"/>`;
  };
  const end = Math.max(x(value), x(goal ?? 0), x(floor ?? 0)) + 8;
  return [
    `<text x="${LABEL - 10}" y="${y + 17}" text-anchor="end">${escaped(label)}</text>`,
    `<rect class="${isOver ? 'over' : 'ours'}" x="${LABEL}" y="${y + 4}" width="${Math.max(1, x(value) - LABEL).toFixed(1)}" height="${ROW - 14}" rx="2"/>`,
    floor === undefined ? '' : line('floor', floor),
    goal === undefined ? '' : line('goal', goal),
    `<text x="${end.toFixed(1)}" y="${y + 17}">${escaped(`${shown(value)} ${unit}${isOver ? ' (over)' : ''}`)}</text>`,
  ].join('');
}

function shown(value: number): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : value >= 0.1 || value === 0 ? 2 : 3;
  return value.toFixed(digits);
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
