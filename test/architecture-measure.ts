import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseSync, visitorKeys } from 'oxc-parser';

// Measures the parts of the sources for `architecture.test.ts`. `node test/architecture-measure.ts` prints the
// exceptions for `architecture-exceptions.ts`. Update the exceptions only after parts became smaller, never to allow a
// larger part.

interface Bound {
  readonly kind: 'at most' | 'at least';
  readonly limit: number;
}

export const BOUNDS = {
  /** The number of lines in a function, including its inner functions. */
  functions: { kind: 'at most', limit: 60 },
  /** The number of parameters of a function. */
  parameters: { kind: 'at most', limit: 6 },
  /** The number of members in an interface whose name ends in `Deps`. Inherited members do not count. */
  dependencies: { kind: 'at most', limit: 6 },
  /** The number of lines in a file. */
  files: { kind: 'at least', limit: 30 },
} as const satisfies Readonly<Record<string, Bound>>;

export type BoundName = keyof typeof BOUNDS;
/** The size of each part. The key contains the path of the file and the name of the part. */
type Sizes = Readonly<Record<string, number>>;
export type SizesOfAll = Readonly<Record<BoundName, Sizes>>;

interface SourceText {
  readonly path: string;
  readonly text: string;
}

/** The members of syntax nodes that the measurements use. */
interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly id?: { readonly name?: string } | null;
  readonly key?: { readonly name?: string };
  readonly params?: readonly unknown[];
  readonly body?: { readonly body?: readonly unknown[] };
}

export function readSources(folder: string): readonly SourceText[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(folder, path), 'utf8') }));
}

/**
 * Measures all parts of the files. If parts of one file have the same name, the result contains only the largest size.
 */
export function measure(sources: readonly SourceText[]): SizesOfAll {
  const sizes: Record<BoundName, Record<string, number>> = {
    functions: {},
    parameters: {},
    dependencies: {},
    files: {},
  };
  for (const { path, text } of sources) {
    const note = (bound: BoundName, name: string, size: number): void => {
      const part = `${path} ${name}`;
      sizes[bound][part] = Math.max(size, sizes[bound][part] ?? 0);
    };
    sizes.files[path] = lineBreaks(text);
    walk(parseSync(path, text).program as unknown as Node, '', (node, name) => {
      if (/^(?:FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type)) {
        note('functions', name, lineBreaks(text.slice(node.start, node.end)) + 1);
        note('parameters', name, node.params?.length ?? 0);
      }
      if (node.type === 'TSInterfaceDeclaration' && name.endsWith('Deps'))
        note('dependencies', name, node.body?.body?.length ?? 0);
    });
  }
  return sizes;
}

/**
 * Returns a problem for each part that is outside its limit and has no sufficient exception. Also returns a problem for
 * each exception that no part needs.
 */
export function findSizeProblems(bound: BoundName, sizes: Sizes, exceptions: Sizes): readonly string[] {
  const { kind, limit } = BOUNDS[bound];
  const outside = sizesOutside(bound, sizes);
  const larger = Object.entries(outside)
    .filter(([part, size]) => isWorse(bound, size, exceptions[part] ?? limit))
    .map(([part, size]) => `${part}: ${size}, allowed is ${kind} ${exceptions[part] ?? limit}`);
  const unneeded = Object.keys(exceptions).filter((part) => outside[part] === undefined);
  return [...larger, ...unneeded.map((part) => `${part}: needs no exception`)];
}

function sizesOutside(bound: BoundName, sizes: Sizes): Sizes {
  const outside = Object.entries(sizes).filter(([, size]) => isWorse(bound, size, BOUNDS[bound].limit));
  return Object.fromEntries(outside.sort());
}

function isWorse(bound: BoundName, size: number, allowed: number): boolean {
  return BOUNDS[bound].kind === 'at most' ? size > allowed : size < allowed;
}

function lineBreaks(text: string): number {
  return text.split('\n').length - 1;
}

/** Visits a node and all nodes inside it. Passes the name of the nearest declaration or property around each node. */
function walk(node: Node, outerName: string, visit: (node: Node, name: string) => void): void {
  const keyName = /Property$|Definition$/.test(node.type) ? node.key?.name : undefined;
  const name = node.id?.name ?? keyName ?? outerName;
  visit(node, name);
  for (const key of visitorKeys[node.type] ?? [])
    for (const child of [node[key as keyof Node]].flat() as unknown as (Node | null | undefined)[])
      if (child) walk(child, name, visit);
}

if (import.meta.main) {
  const sizes = measure(readSources(resolve(import.meta.dirname, '../src')));
  const names = Object.keys(BOUNDS) as BoundName[];
  const exceptions = Object.fromEntries(names.map((name) => [name, sizesOutside(name, sizes[name])]));
  console.log(`import type { SizesOfAll } from './architecture-measure.ts';

/** The parts that exceed a limit, with their present size. This size must not grow. */
export const EXCEPTIONS: SizesOfAll = ${JSON.stringify(exceptions, undefined, 2)};`);
}
