import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cachedFolder, cacheFolder } from '../../../scripts/setup/cache.js';
import { type Command, openGuard } from './guarded.ts';
import { InstallProgress } from './install-progress.ts';
import { findPython } from './requirements.ts';
import { ServiceError } from './service.ts';

type Report = (line: string) => void;

/** Runs one tool until it exits. An error contains the path of the tool's output. */
export type RunTool = (tool: Command) => Promise<void>;

/** How long an installation usually takes, in seconds. */
export interface Expected {
  readonly seconds: number;
}

/**
 * Returns the folder of a server's files. On first use, `install` creates the folder. All checkouts share the folder,
 * because it is outside the repository. During the installation, reports every 15 seconds how much time is left.
 */
export function installed(
  name: string,
  report: Report,
  install: (draft: string, run: RunTool, progress: InstallProgress) => Promise<void>,
  expected: Expected = { seconds: 60 },
): Promise<string> {
  const servers = join(cacheFolder(), 'servers');
  const folder = join(servers, name);
  return cachedFolder(
    folder,
    async (draft) => {
      mkdirSync(servers, { recursive: true });
      const log = `${folder}.log`;
      // A guard process starts these tools too. It stops them when the test run is killed, so that no build stays behind.
      const work = join(draft, 'work');
      mkdirSync(work);
      const guard = openGuard(work);
      using progress = new InstallProgress(name, expected.seconds, report);
      const run: RunTool = async (tool) => {
        const exit = await guard.start({ log, ...tool }).ended;
        if ('status' in exit && exit.status === 0) return;
        throw new ServiceError(
          `Installing ${name} failed at: ${tool.name}. Check the network. Its output is in ${tool.log ?? log}.`,
        );
      };
      try {
        await install(draft, run, progress);
        rmSync(log, { force: true });
        progress.end();
      } finally {
        await guard.close();
      }
    },
    () => report(`Another run is installing ${name}: waiting for it …`),
  );
}

/** The sets of Python packages, one file each in `python/`. */
export type PythonPackages = 'go' | 'localstack' | 'openbao';

/** Returns the options of pip to install exactly the packages of a set. Each has a fixed version and hashes. */
export function pipInstall(packages: PythonPackages): readonly string[] {
  return [
    ...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-cache-dir'],
    // Installs only prebuilt packages, because building from source needs more than Python.
    ...['--only-binary=:all:', '--require-hashes'],
    ...['--requirement', join(import.meta.dirname, 'python', `${packages}.txt`)],
  ];
}

/** Creates a virtual environment with a set of packages below `work`. Returns its site-packages folder. */
export async function installPythonPackages(
  work: string,
  set: PythonPackages,
  report: Report,
  run: RunTool,
): Promise<string> {
  const python = await findPython(report);
  const venv = join(work, 'venv');
  await run({ name: 'python -m venv', command: python, args: ['-m', 'venv', venv], env: process.env });
  const packages = join(work, 'packages');
  await run({
    name: `pip install ${set}`,
    command: join(venv, 'bin', 'python'),
    args: [...pipInstall(set), '--no-compile', '--target', packages],
    env: process.env,
  });
  return packages;
}
