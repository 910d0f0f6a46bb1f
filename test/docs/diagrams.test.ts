import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { allPages, blocksOf, ROOT } from './markdown.ts';

const diagrams = allPages()
  .flatMap(blocksOf)
  .filter(({ language }) => language === 'mermaid');
const SRC = join(ROOT, 'src');

describe('diagrams', () => {
  it.each(diagrams.map(({ location: place, text }) => [place, text] as const))(
    'the diagram at %s is valid',
    (_, text) => {
      const [head = '', ...lines] = text.trim().split('\n');
      expect(head).toMatch(/^(flowchart (TD|LR)|sequenceDiagram|stateDiagram-v2)$/);
      const opened = lines.filter((line) => /^\s*subgraph\b/.test(line)).length;
      expect(lines.filter((line) => /^\s*end$/.test(line)).length).toBe(opened);
      // Mermaid reads a node named `end` as the end of a subgraph.
      expect(lines.filter((line) => /(-->|---)(\|[^|]*\|)? end\b/.test(line))).toEqual([]);
      for (const line of lines) {
        const bare = line.replaceAll(/"[^"]*"/g, '').replaceAll(/--?>>?|-\.|\.->/g, '');
        for (const [open, close] of ['()', '[]', '{}'].map((pair) => [...pair]))
          expect(bare.split(open ?? '').length, line).toBe(bare.split(close ?? '').length);
      }
    },
  );
});

/** Returns the arrows of the last diagram on the page. `a --> b` means that folder `a` may import from folder `b`. */
function parseArrows(): readonly (readonly [string, string])[] {
  const diagram = diagrams
    .filter(({ location: place }) => place.startsWith('docs/explanation/architecture.md:'))
    .at(-1);
  return [...(diagram?.text.matchAll(/^ *([\w-]+) --> ([\w-]+)$/gm) ?? [])].map(([, from = '', to = '']) => [
    from,
    to,
  ]);
}

/** Returns the imports between folders of `src`. */
function importsOfFolders(): ReadonlySet<string> {
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
  const diagramArrows = parseArrows();
  const imports = importsOfFolders();

  it('the diagram shows only imports that exist in the code', () => {
    expect(diagramArrows.length).toBeGreaterThan(15);
    expect(diagramArrows.filter(([from, to]) => !imports.has(`${from} ${to}`))).toEqual([]);
  });

  it('the diagram has a path of arrows for every import, and no cycle', () => {
    const reach = (from: string): ReadonlySet<string> => {
      const reached = new Set<string>();
      const visit = (node: string): void => {
        for (const [, to] of diagramArrows.filter(([start]) => start === node))
          if (!reached.has(to)) {
            reached.add(to);
            visit(to);
          }
      };
      visit(from);
      return reached;
    };
    const missing = [...imports].filter((arrow) => {
      const [from = '', to = ''] = arrow.split(' ');
      return !reach(from).has(to);
    });
    expect(missing).toEqual([]);
    for (const [from] of diagramArrows)
      expect(reach(from).has(from), `${from} depends on itself`).toBe(false);
  });
});
