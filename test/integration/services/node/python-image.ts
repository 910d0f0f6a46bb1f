import { join } from 'node:path';
import { installed } from '../install.ts';
import { findOrInstall } from '../requirements.ts';
import { writeImageArchive } from './image-archive.ts';

/**
 * Returns the path of an image archive with Python. It has the name of the image in the manifests of the example, so
 * that these manifests are tested unchanged. The Python is Debian's 3.11.
 */
export async function installPythonImage(report: (line: string) => void): Promise<string> {
  const command = await findOrInstall(
    {
      missing: 'The program mmdebstrap is missing.',
      package: 'mmdebstrap',
      duration: 'about 20 seconds',
      find: async (machine) =>
        (await machine.run('mmdebstrap', ['--version'])).status === 0 ? 'mmdebstrap' : undefined,
    },
    report,
  );
  const folder = await installed(
    'python-image-bookworm',
    report,
    async (draft, run) => {
      report('Building an image with Python from Debian packages (about a minute, once) …');
      const files = join(draft, 'work', 'files.tar');
      await run({
        name: 'mmdebstrap',
        command,
        args: [
          '--quiet',
          '--variant=extract',
          // The manifests call the program `python`.
          '--include=python3,python-is-python3',
          'bookworm',
          files,
        ],
        env: process.env,
      });
      const config = { Cmd: ['python'], Env: ['PATH=/usr/bin:/bin'] };
      const image = { name: 'docker.io/library/python:3.13-slim', files, config };
      await writeImageArchive(join(draft, 'python.tar'), join(draft, 'work'), image, run);
    },
    { seconds: 60 },
  );
  return join(folder, 'python.tar');
}
