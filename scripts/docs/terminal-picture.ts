// Draws the output of a command as it looks in a dark terminal. The text of the picture can be selected and searched.

const COLUMNS = 100;
const CHARACTER = 8.4;
const LINE = 20;
const MARGIN = 16;

/** The class of the text after an SGR code. `undefined` ends the class. */
const CLASSES: Readonly<Record<string, string | undefined>> = {
  1: 'bold',
  2: 'dim',
  22: undefined,
  31: 'red',
  32: 'green',
  33: 'yellow',
  36: 'cyan',
  39: undefined,
};

const STYLE = `
  .screen { fill: #0d1117; stroke: #30363d; }
  text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #e6edf3; white-space: pre; }
  .bold { font-weight: 700; }
  .dim { fill: #8b949e; }
  .red { fill: #ff7b72; }
  .green { fill: #7ee787; }
  .yellow { fill: #e3b341; }
  .cyan { fill: #79c0ff; }`;

interface Span {
  readonly text: string;
  readonly style: string | undefined;
}

/**
 * Returns an SVG picture.
 * @param output The output of a command, with the SGR codes of a color terminal.
 * @param description The text for people who cannot see the picture.
 */
export function terminalPicture(output: string, description: string): string {
  const rows = output
    .trimEnd()
    .split('\n')
    .flatMap((line) => wrapped(spansOf(line)));
  const width = Math.ceil(COLUMNS * CHARACTER + 2 * MARGIN);
  const height = rows.length * LINE + 2 * MARGIN - 4;
  const drawn = rows.map((spans, index) => drawRow(spans, MARGIN + 11 + index * LINE));
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="t">
<style>${STYLE}
</style>
<title id="t">${escaped(description)}</title>
<rect class="screen" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="6"/>
${drawn.filter((row) => row !== '').join('\n')}
</svg>
`;
}

/** Splits a line at its SGR codes. */
function spansOf(line: string): readonly Span[] {
  const spans: Span[] = [];
  let style: string | undefined;
  for (const [, code, text] of line.matchAll(/\u001B\[(\d+)m|([^\u001B]+)/g))
    if (code === undefined) spans.push({ text: text ?? '', style });
    else style = CLASSES[code];
  return spans;
}

/** Breaks a line at the last column, as a terminal does. */
function wrapped(spans: readonly Span[]): readonly (readonly Span[])[] {
  const rows: Span[][] = [[]];
  let left = COLUMNS;
  for (const { text, style } of spans)
    for (let rest = text; rest !== ''; ) {
      if (left === 0) {
        rows.push([]);
        left = COLUMNS;
      }
      const part = rest.slice(0, left);
      rows.at(-1)?.push({ text: part, style });
      rest = rest.slice(part.length);
      left -= part.length;
    }
  return rows;
}

/** Sets the position and the length of each text, so that columns are in line with every font. */
function drawRow(spans: readonly Span[], y: number): string {
  let column = 0;
  return spans
    .map(({ text, style }) => {
      const x = (MARGIN + column * CHARACTER).toFixed(1);
      const length = (text.length * CHARACTER).toFixed(1);
      column += text.length;
      if (text.trim() === '') return '';
      const named = style === undefined ? '' : ` class="${style}"`;
      return `<text${named} x="${x}" y="${y}" textLength="${length}">${escaped(text)}</text>`;
    })
    .join('');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
