import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { allPages, blocksOf, ROOT } from './markdown.ts';

const diagrams = allPages()
  .flatMap(blocksOf)
  .filter(({ language }) => language === 'mermaid');
const SRC = join(ROOT, 'src');

describe('diagrams', () => {
  it.each(diagrams.map(({ place, text }) => [place, text] as const))('at %s can be drawn', (_, text) => {
    const [head = '', ...lines] = text.trim().split('\n');
    expect(head).toMatch(/^(flowchart (TD|LR)|sequenceDiagram|stateDiagram-v2)$/);
    const opened = lines.filter((line) => /^\s*subgraph\b/.test(line)).length;
    expect(lines.filter((line) => /^\s*end$/.test(line)).length).toBe(opened);
    // `end` as the name of a node ends the diagram.
    expect(lines.filter((line) => /(-->|---)(\|[^|]*\|)? end\b/.test(line))).toEqual([]);
    for (const line of lines) {
      const bare = line.replaceAll(/"[^"]*"/g, '').replaceAll(/--?>>?|-\.|\.->/g, '');
      for (const [open, close] of ['()', '[]', '{}'].map((pair) => [...pair]))
        expect(bare.split(open ?? '').length, line).toBe(bare.split(close ?? '').length);
    }
  });
});

/** The last diagram of the page: `a --> b` says that `a` may know `b`. */
function drawnArrows(): readonly (readonly [string, string])[] {
  const drawn = diagrams.filter(({ place }) => place.startsWith('docs/explanation/architecture.md:')).at(-1);
  return [...(drawn?.text.matchAll(/^ *(\w+) --> (\w+)$/gm) ?? [])].map(([, from = '', to = '']) => [
    from,
    to,
  ]);
}

/** Which folder of `src` imports which. */
function realArrows(): ReadonlySet<string> {
  const arrows = new Set<string>();
  const home = (path: string): string =>
    path.includes('/') ? (path.split('/')[0] ?? '') : path.replace('.ts', '');
  for (const path of globSync('**/*.ts', { cwd: SRC }))
    for (const [, name = ''] of readFileSync(join(SRC, path), 'utf8').matchAll(
      /(?:^import\b[^'"]*|^export\b[^'"]*\bfrom\s*|\bimport\()\s*['"](\.[^'"]+)['"]/gm,
    )) {
      const [from, to] = [home(path), home(relative(SRC, resolve(SRC, dirname(path), name)))];
      if (from !== to) arrows.add(`${from} ${to}`);
    }
  return arrows;
}

describe('the diagram of the folders', () => {
  const drawn = drawnArrows();
  const real = realArrows();

  it('draws imports that there are', () => {
    expect(drawn.length).toBeGreaterThan(15);
    expect(drawn.filter(([from, to]) => !real.has(`${from} ${to}`))).toEqual([]);
  });

  it('has a way down for every import, and so no way up', () => {
    const reach = (from: string): ReadonlySet<string> => {
      const reached = new Set<string>();
      const visit = (at: string): void => {
        for (const [, to] of drawn.filter(([start]) => start === at))
          if (!reached.has(to)) {
            reached.add(to);
            visit(to);
          }
      };
      visit(from);
      return reached;
    };
    const missing = [...real].filter((arrow) => {
      const [from = '', to = ''] = arrow.split(' ');
      return !reach(from).has(to);
    });
    expect(missing).toEqual([]);
    for (const [from] of drawn) expect(reach(from).has(from), `${from} is below itself`).toBe(false);
  });
});
