// npm run image:files [-- FOLDER]: collects the files that the image adds to the Node base image. FOLDER is state/image
// by default.
import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { build } from './build/build.ts';
import { PAGE_PACKAGES } from './build/page-packages.ts';
import { isLeftOut, isPackageLeftOut } from './image/excluded.ts';
import { type FileSet, settle } from './image/files.ts';
import { billOfMaterials, packageAt, runtimePackages } from './image/packages.ts';

const ROOT = join(import.meta.dirname, '..');
/** The build copies modules of these packages into the program and the review page. */
const COPIED_PACKAGES = ['@kubernetes/client-node', ...PAGE_PACKAGES].map((name) => `node_modules/${name}`);
/** All files get the same modification time, so that the image is reproducible. */
const TIME = new Date(Number(process.env.SOURCE_DATE_EPOCH ?? 1_767_225_600) * 1000);

async function assemble(folder: string): Promise<FileSet | undefined> {
  await rm(folder, { recursive: true, force: true });
  const app = join(folder, 'app');
  await mkdir(app, { recursive: true });
  if (!(await build(ROOT, join(app, 'dist')))) return undefined;
  await cp(join(ROOT, 'LICENSE'), join(app, 'LICENSE'));
  await copyProgram(join(app, 'bin'));

  const manifest = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as Record<string, string>;
  const { name, version = '', license, type, bin } = manifest;
  await writeFile(
    join(app, 'package.json'),
    `${JSON.stringify({ name, version, license, type, bin }, null, 2)}\n`,
  );
  const installed = await runtimePackages(ROOT);
  const packages = installed.filter(({ path }) => !isPackageLeftOut(path));
  const nested = new Set(installed.map(({ path }) => join(ROOT, path)));
  for (const { path } of packages) {
    const from = join(ROOT, path);
    await cp(from, join(app, path), {
      recursive: true,
      // Skip nested packages here. They are copied separately, unless they are development packages.
      filter: (file) => file === from || !(nested.has(file) || isLeftOut(relative(from, file))),
    });
  }
  const copied = await Promise.all(COPIED_PACKAGES.map((path) => packageAt(ROOT, path)));
  await writeFile(join(app, 'sbom.cdx.json'), billOfMaterials(version, [...packages, ...copied]));
  // Put the program on PATH, for `kubectl exec … -- secretbridge doctor`.
  await mkdir(join(folder, 'usr/local/bin'), { recursive: true });
  await symlink('/app/bin/secretbridge.js', join(folder, 'usr/local/bin/secretbridge'));
  return settle(folder, TIME);
}

/** Copies the program. Its first line names Node, because a base image without a shell has no `/usr/bin/env`. */
async function copyProgram(folder: string): Promise<void> {
  const text = await readFile(join(ROOT, 'bin/secretbridge.js'), 'utf8');
  await mkdir(folder);
  const changed = text.replace(/^#!.*/, '#!/usr/local/bin/node --disable-sigusr1');
  await writeFile(join(folder, 'secretbridge.js'), changed);
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

async function main([given, ...others]: readonly string[]): Promise<number> {
  if (others.length > 0 || given?.startsWith('-')) {
    process.stderr.write('Usage: npm run image:files [-- FOLDER]\n');
    return 64;
  }
  const folder = resolve(given ?? join(ROOT, 'state/image'));
  const set = await assemble(folder);
  if (set === undefined) return 1;
  const parts = set.parts.filter(({ bytes }) => bytes > 10_000);
  process.stdout.write(
    `${folder}: ${set.files} files, ${megabytes(set.bytes)}\n${parts
      .map(({ name, bytes }) => `  ${name}  ${megabytes(bytes)}\n`)
      .join('')}sha256:${set.digest}\n`,
  );
  return 0;
}

process.exitCode = await main(process.argv.slice(2));
