import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { step } from '../setup/steps.ts';
import { copyKubernetesClient } from './kubernetes-client.ts';
import { buildPage } from './page.ts';

/**
 * Builds the program into a folder. Node does not run `.ts` files below `node_modules`, so a package must contain
 * JavaScript.
 *
 * @returns Whether the program could be compiled.
 */
export async function build(root: string, dist: string): Promise<boolean> {
  await rm(dist, { recursive: true, force: true });
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const project = join(root, 'tsconfig.build.json');
  const isCompiled = await step({
    title: 'build',
    command: [process.execPath, tsc, '--project', project, '--outDir', dist],
  });
  if (!isCompiled) return false;
  await buildPage(join(dist, 'ui'));
  await copyKubernetesClient(root, dist);
  return true;
}
