import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isPackageLeftOut } from '../../../scripts/image/left-out.ts';

/** `import`, `export … from` and `require` of a text; in comments too, which does no harm. */
const SPECIFIER = /\b(?:from|import|require|require\.resolve)\s*\(?\s*(['"])([^'"\n]+)\1/g;
const ENDINGS = ['', '.js', '.mjs', '.cjs', '.json', '.node', '/index.js', '/index.json', '/package.json'];
/** What Node may follow in `exports` and `imports`. */
const CONDITIONS = new Set(['node', 'node-addons', 'import', 'require', 'module-sync', 'default']);

/**
 * What files of an image name although it was left out of it, as `<file>: <what it names>`: by a relative path, by the
 * name of a package, or as an entry of their package. Whether Node would ever follow it is not asked.
 */
export function danglingReferences(app: string, origin: string): readonly string[] {
  const isIn = (folder: string, path: string) =>
    ENDINGS.some((ending) => statSync(join(folder, path + ending), { throwIfNoEntry: false })?.isFile());
  const dangles = (path: string) => !/\.d\.[cm]?ts$/.test(path) && isIn(origin, path) && !isIn(app, path);
  const problems: string[] = [];
  const scripts = globSync('node_modules/**/*.{js,mjs,cjs}', { cwd: app });
  // Some packages end the name of a folder so.
  for (const file of scripts.filter((path) => statSync(join(app, path)).isFile())) {
    const text = readFileSync(join(app, file), 'utf8');
    for (const [, , named = ''] of text.matchAll(SPECIFIER)) {
      const path = named.startsWith('.') ? join(dirname(file), named) : pathInPackage(origin, file, named);
      if (path !== undefined && (dangles(path) || isPackageLeftOut(path))) problems.push(`${file}: ${named}`);
    }
  }
  for (const file of globSync('node_modules/**/package.json', { cwd: app })) {
    const manifest = JSON.parse(readFileSync(join(app, file), 'utf8')) as Record<string, unknown>;
    const { main, exports, imports } = manifest;
    // A pattern stands for whatever somebody names by it, which is looked at above.
    for (const target of [...targetsIn(main), ...targetsIn(exports), ...targetsIn(imports)])
      if (!target.includes('*') && dangles(join(dirname(file), target))) problems.push(`${file}: ${target}`);
  }
  return [...new Set(problems)].toSorted();
}

/** Where a package, or a file of it that is named without a detour over `exports`, is found from a file. */
function pathInPackage(origin: string, file: string, named: string): string | undefined {
  const name = /^(@[\w.-]+\/)?[\w.-]+/.exec(named)?.[0];
  if (name === undefined || named.startsWith('node:')) return undefined;
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    if (existsSync(join(origin, folder, 'node_modules', name, 'package.json')))
      return join(folder, 'node_modules', named);
    if (folder === '.') return undefined;
  }
}

/** Every file that a field of `package.json` can lead Node to. Of conditions, Node takes the first that it knows. */
function targetsIn(field: unknown): readonly string[] {
  if (typeof field === 'string') return [field];
  if (Array.isArray(field)) return field.flatMap(targetsIn);
  if (typeof field !== 'object' || field === null) return [];
  const entries = Object.entries(field);
  if (entries.some(([key]) => /^[.#]/.test(key))) return entries.flatMap(([, value]) => targetsIn(value));
  // `import` and `require` exclude each other, and all that comes after what always holds is never reached.
  const always = entries.findIndex(([key]) => ['node', 'default', 'node-addons'].includes(key));
  const reached = always === -1 ? entries : entries.slice(0, always + 1);
  return reached.filter(([key]) => CONDITIONS.has(key)).flatMap(([, value]) => targetsIn(value));
}
