import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { installed } from '../services/install.ts';
import { thisMachine } from '../services/requirements.ts';
import { reportToStderr } from '../services/service.ts';

/**
 * Returns the path of the installed `promtool` of Prometheus, or of the `promtool` in the Debian package. Returns
 * undefined if both are unavailable.
 */
export async function findPromtool(
  report: (line: string) => void = reportToStderr,
): Promise<string | undefined> {
  if ((await thisMachine.run('promtool', ['--version'])).status === 0) return 'promtool';
  if ((await thisMachine.run('apt-get', ['--version'])).status !== 0) return undefined;
  const folder = await installed('promtool-debian', report, async (draft, run) => {
    report('Fetching promtool (20 MB, once) …');
    const cwd = join(draft, 'work');
    const { env } = process;
    const apt = (name: string, ...args: string[]) =>
      run({ name: `apt-get ${name}`, command: 'apt-get', args: ['-qq', name, ...args], env, cwd });
    // apt-get finds packages only after `apt-get update`.
    if (thisMachine.isRoot) await apt('update');
    // Unpacks the package without installing it, because the package would start a server.
    await apt('download', 'prometheus');
    const unpack = 'dpkg -x ./prometheus_*.deb .';
    await run({ name: unpack, command: 'sh', args: ['-c', unpack], env, cwd });
    await rename(join(cwd, 'usr/bin/promtool'), join(draft, 'promtool'));
  });
  return join(folder, 'promtool');
}
