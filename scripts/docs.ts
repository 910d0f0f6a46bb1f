// npm run docs: writes the documentation pages that are generated from the code. With --check it writes nothing and
// lists the pages that are out of date.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generatedPages } from './docs/pages.ts';

const ROOT = join(import.meta.dirname, '..');

async function committed(path: string): Promise<string | undefined> {
  try {
    return await readFile(join(ROOT, path), 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function main(args: readonly string[]): Promise<number> {
  const [option, ...others] = args;
  if (others.length > 0 || (option !== undefined && option !== '--check')) {
    process.stderr.write('Usage: npm run docs [-- --check]\n');
    return 64;
  }
  const stale: string[] = [];
  for (const [path, text] of await generatedPages()) {
    if ((await committed(path)) === text) continue;
    stale.push(path);
    if (option === undefined) await writeFile(join(ROOT, path), text);
  }
  if (option === undefined) {
    process.stdout.write(stale.map((path) => `wrote ${path}\n`).join('') || 'All pages are up to date.\n');
    return 0;
  }
  for (const path of stale)
    process.stderr.write(`${path} is not what the code says: run \`npm run docs\` and commit it\n`);
  return stale.length === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
