import { VERSION } from './context.ts';
import overview from './overview.json' with { type: 'json' };
import {
  columnWidth,
  exampleText,
  formatItem,
  heading,
  helpWidth,
  MIN_WRAP_WIDTH,
  PROGRAM_HELP,
  seeText,
  term,
} from './texts/help.ts';

/** The terminal on which the output is printed. */
interface Terminal {
  readonly width: number;
  readonly color: boolean;
}

/**
 * Returns the output of `--version` and `--help` without loading the rest of the program. Loading commander alone would
 * take half as long as starting Node. Returns undefined for other command lines.
 */
export function quickOutput(args: readonly string[], terminal: Terminal): string | undefined {
  const [only = '', ...more] = args;
  if (more.length > 0) return undefined;
  if (['--version', '-V'].includes(only)) return `${VERSION}\n`;
  return ['--help', '-h'].includes(only) ? overviewText(terminal) : undefined;
}

/** Returns the main help in commander's layout. `overview.json` is generated from the commands. */
function overviewText(terminal: Terminal): string {
  const { usage, about, groups } = overview;
  const width = helpWidth(terminal.width);
  const column = columnWidth(groups.flatMap(({ items }) => items.map((item) => item.term)));
  const text = [
    `${heading('Usage:')} ${usage}`,
    wrap(about, width),
    ...groups.map((group) =>
      [
        heading(group.heading),
        ...group.items.map((item) =>
          formatItem(
            { item: term(item.term), shown: item.term.length, width: column, helpWidth: width },
            (room) => wrap(item.about, room),
          ),
        ),
      ].join('\n'),
    ),
    exampleText(PROGRAM_HELP.examples, width),
    seeText(PROGRAM_HELP.see, (see) => wrap(see, width - 2)),
  ].join('\n\n');
  return `${terminal.color ? text : text.replace(COLOR_CODES, '')}\n`;
}

const COLOR_CODES = /\u001b\[\d+m/g;

/** Wraps text at spaces. */
function wrap(text: string, width: number): string {
  if (width < MIN_WRAP_WIDTH) return text;
  return text
    .split('\n')
    .flatMap((line) => {
      const lines: string[] = [];
      let current = '';
      for (const [part] of line.matchAll(/\s*\S+/g))
        if (current === '' || current.length + part.length <= width) current += part;
        else {
          lines.push(current);
          current = part.trimStart();
        }
      return [...lines, current];
    })
    .join('\n');
}
