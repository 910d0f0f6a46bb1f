import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isPackageLeftOut } from '../../../scripts/image/excluded.ts';

/** Matches the module names in `import`, `export … from` and `require`. Matches in comments are harmless. */
const SPECIFIER = /\b(?:from|import|require|require\.resolve)\s*\(?\s*(['"])([^'"\n]+)\1/g;
const ENDINGS = ['', '.js', '.mjs', '.cjs', '.json', '.node', '/index.js', '/index.json', '/package.json'];
/** The conditions in `exports` and `imports` that Node may use. */
const CONDITIONS = new Set(['node', 'node-addons', 'import', 'require', 'module-sync', 'default']);

/**
 * Finds references from files of the image to files that the image omits. Returns each one as `<file>: <reference>`. A
 * reference is a relative path, a package name or an entry of a package.json. The result can include references that
 * Node never loads.
 */
export function danglingReferences(app: string, origin: string): readonly string[] {
  const hasFile = (folder: string, path: string) =>
    ENDINGS.some((ending) => statSync(join(folder, path + ending), { throwIfNoEntry: false })?.isFile());
  const dangles = (path: string) =>
    !/\.d\.[cm]?ts$/.test(path) && hasFile(origin, path) && !hasFile(app, path);
  const problems: string[] = [];
  const scripts = globSync('node_modules/**/*.{js,mjs,cjs}', { cwd: app });
  // Skip folders. Some packages have a folder whose name ends in the file extension of a script.
  for (const file of scripts.filter((path) => statSync(join(app, path)).isFile())) {
    const text = readFileSync(join(app, file), 'utf8');
    for (const [, , specifier = ''] of text.matchAll(SPECIFIER)) {
      const path = specifier.startsWith('.')
        ? join(dirname(file), specifier)
        : pathInPackage(origin, file, specifier);
      if (path !== undefined && (dangles(path) || isPackageLeftOut(path)))
        problems.push(`${file}: ${specifier}`);
    }
  }
  for (const file of globSync('node_modules/**/package.json', { cwd: app })) {
    const manifest = JSON.parse(readFileSync(join(app, file), 'utf8')) as Record<string, unknown>;
    const { main, exports, imports } = manifest;
    // Skip patterns. They match only files that a script imports by their path, and the loop above checks such imports.
    for (const target of [...targetsIn(main), ...targetsIn(exports), ...targetsIn(imports)])
      if (!target.includes('*') && dangles(join(dirname(file), target))) problems.push(`${file}: ${target}`);
  }
  return [...new Set(problems)].toSorted();
}

/** Returns the path of a package or of a file in it, resolved from `file`. Ignores the field `exports`. */
function pathInPackage(origin: string, file: string, specifier: string): string | undefined {
  const name = /^(@[\w.-]+\/)?[\w.-]+/.exec(specifier)?.[0];
  if (name === undefined || specifier.startsWith('node:')) return undefined;
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    if (existsSync(join(origin, folder, 'node_modules', name, 'package.json')))
      return join(folder, 'node_modules', specifier);
    if (folder === '.') return undefined;
  }
}

/** Returns all files that a field of `package.json` can resolve to. Node uses the first condition that it supports. */
function targetsIn(field: unknown): readonly string[] {
  if (typeof field === 'string') return [field];
  if (Array.isArray(field)) return field.flatMap(targetsIn);
  if (typeof field !== 'object' || field === null) return [];
  const entries = Object.entries(field);
  if (entries.some(([key]) => /^[.#]/.test(key))) return entries.flatMap(([, value]) => targetsIn(value));
  // Node reads either `import` or `require`, so include both. Node never reaches the conditions after a condition that
  // always applies.
  const always = entries.findIndex(([key]) => ['node', 'default', 'node-addons'].includes(key));
  const reached = always === -1 ? entries : entries.slice(0, always + 1);
  return reached.filter(([key]) => CONDITIONS.has(key)).flatMap(([, value]) => targetsIn(value));
}
