import { spawnSync } from 'node:child_process';
import { cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { buildPage } from '../../scripts/build/page.ts';
import { BenchError } from '../harness/error.ts';

const ROOT = join(import.meta.dirname, '../..');
/** The output folder is inside node_modules, so that Node finds the packages as in an installed program. */
const BUILD_FOLDER = join(ROOT, 'node_modules/.cache/secretbridge-bench');

let built: Promise<string> | undefined;

/**
 * Compiles the program to JavaScript, because the image and the npm package also contain JavaScript. If Node stripped
 * the types at each start, the program would take longer and need more memory than the image and the package.
 */
export function builtProgram(): Promise<string> {
  built ??= build();
  return built;
}

async function build(): Promise<string> {
  await rm(BUILD_FOLDER, { recursive: true, force: true });
  await mkdir(BUILD_FOLDER, { recursive: true });
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const args = [tsc, '--project', join(ROOT, 'tsconfig.build.json'), '--outDir', join(BUILD_FOLDER, 'dist')];
  const { status, stdout } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) throw new BenchError(`the build failed:\n${stdout}`);
  await buildPage(join(BUILD_FOLDER, 'dist/ui'));
  await cp(join(ROOT, 'bin'), join(BUILD_FOLDER, 'bin'), { recursive: true });
  await cp(join(ROOT, 'package.json'), join(BUILD_FOLDER, 'package.json'));
  return join(BUILD_FOLDER, 'bin/secretbridge.js');
}
