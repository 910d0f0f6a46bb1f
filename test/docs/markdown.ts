import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');

export interface Page {
  /** The path relative to the root of the repository. */
  readonly path: string;
  readonly text: string;
}

export interface Block {
  readonly language: string;
  readonly text: string;
  /** `<path>:<line>`, for messages. */
  readonly location: string;
}

/** Returns all documentation pages of the repository. */
export function allPages(): readonly Page[] {
  const paths = globSync(['*.md', 'deploy/**/*.md', 'docs/**/*.md', 'examples/**/*.md'], {
    cwd: ROOT,
  }).sort();
  return paths.map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
}

/** Returns the fenced code blocks of a page without their indentation. */
export function blocksOf({ path, text }: Page): readonly Block[] {
  const blocks: Block[] = [];
  let open: { indent: number; language: string; lines: string[]; line: number } | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const fence = /^( *)```(\w*)/.exec(line);
    if (open === undefined) {
      if (fence !== null)
        open = { indent: fence[1]?.length ?? 0, language: fence[2] ?? '', lines: [], line: index + 2 };
    } else if (fence !== null) {
      blocks.push({
        language: open.language,
        text: `${open.lines.join('\n')}\n`,
        location: `${path}:${open.line}`,
      });
      open = undefined;
    } else open.lines.push(line.slice(open.indent));
  }
  if (open !== undefined) throw new Error(`${path}:${open.line} begins a block without an end`);
  return blocks;
}

export function proseOf({ text }: Page): string {
  return text.replaceAll(/^ *```.*?^ *```$/gms, '').replaceAll(/<!--.*?-->/gs, '');
}

/** Returns the link targets of a page, excluding links to other hosts. */
export function linksOf(page: Page): readonly string[] {
  const prose = proseOf(page).replaceAll(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target ?? '')
    .filter((target) => !/^[a-z]+:/.test(target));
}

/** Returns the anchors that GitHub generates for the headings of a page. */
export function anchorsOf(page: Page): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const [, heading = ''] of proseOf(page).matchAll(/^#{1,6} +(.+?) *$/gm)) {
    const slug = heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
      .replaceAll(' ', '-');
    let unique = slug;
    for (let number = 1; anchors.has(unique); number += 1) unique = `${slug}-${number}`;
    anchors.add(unique);
  }
  return anchors;
}

export type Row = readonly string[];

/** Returns the rows of the table whose header begins with these cells. Removes the backticks of code spans. */
export function tableOf({ path, text }: Page, ...head: readonly string[]): readonly Row[] {
  const lines = text.split('\n');
  const cells = (line: string): Row =>
    line
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim().replace(/^`(.*)`$/, '$1'));
  const start = lines.findIndex(
    (line) => line.startsWith('|') && head.every((cell, at) => cells(line)[at] === cell),
  );
  if (start === -1) throw new Error(`${path} has no table with the head ${head.join(', ')}`);
  const rows = lines.slice(start + 2);
  const end = rows.findIndex((line) => !line.startsWith('|'));
  return rows.slice(0, end === -1 ? rows.length : end).map(cells);
}
