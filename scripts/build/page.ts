import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withLock } from '../setup/cache.js';

const ROOT = join(import.meta.dirname, '../..');
const CACHE = join(ROOT, 'node_modules/.cache');
const STAMP = join(CACHE, 'review-page.sha256');
/** The folder that the service in a checkout serves. */
const FOLDER = join(ROOT, 'dist/ui');

/** Builds the review page into a folder. */
export async function buildPage(folder: string): Promise<void> {
  // Loading Vite takes longer than to see that the page is up to date.
  const [{ build }, { default: config }] = await Promise.all([
    import('vite'),
    import('../../ui/vite.config.ts'),
  ]);
  await build({ ...config, configFile: false, build: { ...config.build, outDir: folder } });
}

/** Builds the review page of the checkout if the page is missing, or older than its sources. */
export async function ensurePage(): Promise<void> {
  const wanted = hashOfSources();
  if (await isBuilt(wanted)) return;
  await mkdir(CACHE, { recursive: true });
  await withLock(`${STAMP}.lock`, async () => {
    if (await isBuilt(wanted)) return;
    const draft = `${FOLDER}.new`;
    await buildPage(draft);
    await rm(FOLDER, { recursive: true, force: true });
    await rename(draft, FOLDER);
    await writeFile(STAMP, wanted);
  });
}

async function isBuilt(wanted: string): Promise<boolean> {
  try {
    const stamp = await readFile(STAMP, 'utf8');
    await readFile(join(FOLDER, 'index.html'));
    return stamp === wanted;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}

function hashOfSources(): string {
  const hash = createHash('sha256');
  const sources = globSync(['ui/**/*.{ts,tsx,css,html,json,svg}', 'src/core/**/*.ts', 'package-lock.json'], {
    cwd: ROOT,
  });
  for (const path of sources.toSorted()) hash.update(`${path}\0`).update(readFileSync(join(ROOT, path)));
  return hash.digest('hex');
}
