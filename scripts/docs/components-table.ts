import { globSync, readFileSync } from 'node:fs';
import { dirname, join, matchesGlob, relative, resolve } from 'node:path';
import { COMPONENTS, type Component } from '../../test/components.ts';
import config from '../../vitest.config.ts';

const ROOT = join(import.meta.dirname, '../..');
const PAGE = 'docs/explanation/how-it-is-tested.md';
const [START, END] = ['<!-- components -->', '<!-- end of components -->'];
const INJECT = 'test/integration/services/inject.ts';

interface Import {
  readonly module: string;
  readonly names: readonly string[];
}

/** Returns the page with the table of components, made from the imports of the test files. */
export function testedComponents(): string {
  const page = readFileSync(join(ROOT, PAGE), 'utf8');
  const [before, rest] = page.split(START);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`${PAGE} has no place for the table`);
  return `${before}${START}\n\n${table()}\n${END}${after}`;
}

function table(): string {
  const tests = globSync('test/**/*.test.ts', { cwd: ROOT }).map((path) => ({
    runs: isLong(path) ? 'npm run test:long' : 'npm test',
    imports: allImports(path),
  }));
  const rows = COMPONENTS.map((component) => {
    const uses = tests.filter(({ imports }) => imports.some((each) => isUse(each, component)));
    if (uses.length === 0) throw new Error(`no test uses ${component.name} (test/components.ts)`);
    const isShort = component.isLong !== true && uses.some((test) => test.runs === 'npm test');
    const runs = isShort ? 'npm test' : 'npm run test:long';
    return `| ${component.part} | ${component.name} | ${component.kind} | \`${runs}\` |`;
  });
  return `${['| part | component | kind | runs in |', '| --- | --- | --- | --- |', ...rows].join('\n')}\n`;
}

function isUse({ module, names }: Import, component: Component): boolean {
  if (module === INJECT) return component.imports !== undefined && names.includes(component.imports);
  return module === `test/${component.module}`;
}

const LONG_PROJECTS = ['long', 'integration-long', 'game-day'];
const longPatterns = (config.test?.projects ?? []).flatMap((project) => {
  const test = typeof project === 'object' && 'test' in project ? project.test : undefined;
  return LONG_PROJECTS.includes(String(test?.name)) ? (test?.include ?? []) : [];
});
const isLong = (path: string): boolean => longPatterns.some((pattern) => matchesGlob(path, pattern));

const known = new Map<string, readonly Import[]>();

/** Returns the imports of a file and of all files that it imports below `test`. */
function allImports(path: string, seen = new Set<string>()): readonly Import[] {
  if (seen.has(path)) return [];
  seen.add(path);
  const own = known.get(path) ?? importsOf(path);
  known.set(path, own);
  return [...own, ...own.flatMap(({ module }) => allImports(module, seen))];
}

const IMPORT = /^import (?!type)([^;]*?) from '(\.[^']+\.ts)';$/gms;

function importsOf(path: string): readonly Import[] {
  const text = readFileSync(join(ROOT, path), 'utf8');
  return [...text.matchAll(IMPORT)]
    .map(([, names = '', module = '']) => ({
      module: relative(ROOT, resolve(ROOT, dirname(path), module)),
      names: names.split(/[{},\s]+/),
    }))
    .filter(({ module }) => module.startsWith('test/'));
}
