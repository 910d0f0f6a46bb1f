import type { Result } from './result.ts';
import type { Row } from './row.ts';

const HEAD = ['', 'floor', 'ours', 'ratio', 'goal', ''];

/** Formats a result as Markdown, with one table for each group. The tables are also readable in a terminal. */
export function tableOf({ groups }: Result): string {
  return groups
    .map(({ title, rows }) => `${title}\n\n${markdown([HEAD, ...rows.map(cellsOf)])}\n`)
    .join('\n');
}

function cellsOf(row: Row): readonly string[] {
  const { title, unit, value, floor, ratio, ok } = row;
  return [
    title,
    floor === undefined ? '' : shown(floor),
    `${shown(value)} ${unit}`,
    ratio === undefined ? '' : `${shown(ratio)} ×`,
    goalOf(row),
    ok === undefined ? '' : ok ? 'reached' : 'MISSED',
  ];
}

function goalOf({ goal }: Row): string {
  const parts = [
    goal?.value === undefined ? '' : `≤ ${shown(goal.value)}`,
    goal?.ratio === undefined ? '' : `≤ ${shown(goal.ratio)} ×`,
  ];
  return parts.filter((part) => part !== '').join(', ');
}

function shown(value: number): string {
  const digits = Number.isInteger(value) || value >= 1_000 ? 0 : value >= 100 ? 1 : 2;
  return value.toLocaleString('en-GB', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function markdown([head = [], ...body]: readonly (readonly string[])[]): string {
  const all = [head, ...body];
  const widths = head.map((_, column) => Math.max(3, ...all.map((cells) => cells[column]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n');
}
