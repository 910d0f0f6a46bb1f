import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { installed } from './install.ts';
import { thisMachine } from './requirements.ts';
import { reportToStderr } from './service.ts';

/**
 * Returns the folder with the unpacked files of Debian packages. The packages are not installed, because an installed
 * package would start its server. Root is not needed. Returns undefined on a system without apt-get.
 * @param size The size of the download, in words.
 */
export async function unpackDebian(
  name: string,
  { packages, size }: { readonly packages: readonly string[]; readonly size: string },
  report: (line: string) => void = reportToStderr,
): Promise<string | undefined> {
  if ((await thisMachine.run('apt-get', ['--version'])).status !== 0) return undefined;
  return installed(`${name}-debian`, report, async (draft, run) => {
    report(`Fetching ${name} (${size}, once) …`);
    const cwd = join(draft, 'work');
    const { env } = process;
    const apt = (command: string, ...args: readonly string[]) =>
      run({ name: `apt-get ${command}`, command: 'apt-get', args: ['-qq', command, ...args], env, cwd });
    // apt-get finds packages only after `apt-get update`.
    if (thisMachine.isRoot) await apt('update');
    await apt('download', ...packages);
    const unpack = 'for package in ./*.deb; do dpkg -x "$package" unpacked; done';
    await run({ name: 'dpkg -x', command: 'sh', args: ['-ec', unpack], env, cwd });
    const unpacked = join(cwd, 'unpacked');
    for (const entry of await readdir(unpacked)) await rename(join(unpacked, entry), join(draft, entry));
    await rm(join(draft, 'usr', 'share'), { recursive: true, force: true });
  });
}
