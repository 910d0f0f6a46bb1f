import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';
import { readDockerfile } from '../deploy/image-root.ts';

const ROOT = join(import.meta.dirname, '../../..');
/** Inside node_modules, so that Node finds the packages. */
const CACHE = join(ROOT, 'node_modules/.cache');

/** The program as the image runs it: JavaScript, with the environment variables of the image. */
export interface InstalledProgram extends AsyncDisposable {
  readonly main: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Makes JavaScript of the sources. Otherwise Node itself does that at each start, which takes 40 MiB of memory. */
export async function installProgram(): Promise<InstalledProgram> {
  await mkdir(CACHE, { recursive: true });
  const folder = await mkdtemp(join(CACHE, 'secretbridge-installed-'));
  const source = join(ROOT, 'src');
  for (const name of await readdir(source, { recursive: true })) {
    const target = join(folder, 'src', name);
    await mkdir(dirname(target), { recursive: true });
    if (name.endsWith('.json')) await cp(join(source, name), target);
    if (!name.endsWith('.ts')) continue;
    const text = stripTypeScriptTypes(await readFile(join(source, name), 'utf8'));
    await writeFile(target.replace(/\.ts$/, '.js'), text.replaceAll(IMPORT, '$1.js$2'));
  }
  await cp(join(ROOT, 'package.json'), join(folder, 'package.json'));
  const { env } = await readDockerfile();
  return {
    main: join(folder, 'src/main.js'),
    env,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** The path of an import of another source file. */
const IMPORT = /((?:from |import\()'\.[^']*)\.ts(')/g;
