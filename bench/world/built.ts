import { spawnSync } from 'node:child_process';
import { cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BenchError } from '../harness/error.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Below the packages, so that it finds them as an installed program does. */
const PLACE = join(ROOT, 'node_modules/.cache/secretbridge-bench');

let made: Promise<string> | undefined;

/**
 * The program as the image and the package have it, as JavaScript: types that are taken out at each start cost time
 * and memory that nobody pays who has installed it.
 */
export function builtProgram(): Promise<string> {
  made ??= build();
  return made;
}

async function build(): Promise<string> {
  await rm(PLACE, { recursive: true, force: true });
  await mkdir(PLACE, { recursive: true });
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const args = [tsc, '--project', join(ROOT, 'tsconfig.build.json'), '--outDir', join(PLACE, 'dist')];
  const { status, stdout } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) throw new BenchError(`the program could not be built:\n${stdout}`);
  await cp(join(ROOT, 'src/http/ui'), join(PLACE, 'dist/http/ui'), { recursive: true });
  await cp(join(ROOT, 'bin'), join(PLACE, 'bin'), { recursive: true });
  await cp(join(ROOT, 'package.json'), join(PLACE, 'package.json'));
  return join(PLACE, 'bin/secretbridge.js');
}
