import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { ServiceError } from './service.ts';

// The programs that a machine needs to install a server. On Debian, this code installs missing programs if it runs as
// root. Elsewhere, an error names the command to run.

export interface Machine {
  /** Runs a command. The status is undefined when the command does not exist. */
  run(
    command: string,
    args: readonly string[],
    env?: NodeJS.ProcessEnv,
  ): Promise<{ status: number | undefined; output: string }>;
  isRoot: boolean;
}

export const thisMachine: Machine = {
  isRoot: process.getuid?.() === 0,
  run: (command, args, env = {}) =>
    new Promise((resolve) => {
      // Runs outside the repository, because Go follows the go.mod of the current folder.
      const options = { cwd: tmpdir(), env: { ...process.env, ...env }, maxBuffer: 64 * 1024 * 1024 };
      execFile(command, [...args], options, (error, stdout) => {
        const missing = error !== null && (error.code === 'ENOENT' || error.code === 'EACCES');
        const status = typeof error?.code === 'number' ? error.code : error === null ? 0 : 1;
        resolve({ status: missing ? undefined : status, output: stdout });
      });
    }),
};

const APT = ['-qq', '-o', 'DPkg::Lock::Timeout=300'];
const PYTHON_CHECK = 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 9))';

export interface Requirement<T> {
  /** The message of the error for a missing program, as a complete sentence. */
  readonly missing: string;
  /** The name of the Debian package. */
  readonly package: string;
  /** The usual duration of the installation, in words. */
  readonly duration: string;
  readonly find: (machine: Machine) => Promise<T | undefined>;
}

/** Finds a program, or installs its package for root on Debian. @throws ServiceError with the command to run */
export async function findOrInstall<T>(
  { missing, duration, find, ...requirement }: Requirement<T>,
  report: (line: string) => void,
  machine: Machine = thisMachine,
): Promise<T> {
  const value = await find(machine);
  if (value !== undefined) return value;
  if ((await machine.run('apt-get', ['--version'])).status !== 0)
    throw new ServiceError(
      `${missing} Install ${requirement.package} with the package manager of your system.`,
    );
  if (!machine.isRoot) throw new ServiceError(`${missing} Run: sudo apt-get install ${requirement.package}`);
  report(`Installing the Debian package ${requirement.package} (${duration}, once) …`);
  const quiet = { DEBIAN_FRONTEND: 'noninteractive' };
  await machine.run('apt-get', ['update', ...APT], quiet);
  await machine.run(
    'apt-get',
    ['install', '-y', '--no-install-recommends', ...APT, requirement.package],
    quiet,
  );
  const installed = await find(machine);
  if (installed !== undefined) return installed;
  throw new ServiceError(
    `${missing} Installing it failed. To see why, run: apt-get update && apt-get install ${requirement.package}`,
  );
}

/** Returns the command of a Python 3.9 or newer that can create a virtual environment with pip. */
export async function findPython(
  report: (line: string) => void,
  machine: Machine = thisMachine,
): Promise<string> {
  return findOrInstall(
    {
      missing: 'Python 3.9 or newer with its venv module is missing.',
      package: 'python3-venv',
      duration: 'about a minute',
      find: firstPython,
    },
    report,
    machine,
  );
}

async function firstPython(machine: Machine): Promise<string | undefined> {
  for (const command of ['python3', '/usr/bin/python3']) {
    if ((await machine.run(command, ['-c', PYTHON_CHECK])).status === 0) return command;
  }
  return undefined;
}

/** Returns the command of a recent enough Go, or undefined. */
export async function findGo(machine: Machine = thisMachine): Promise<string | undefined> {
  for (const command of ['go', '/usr/local/go/bin/go']) {
    // With `local`, Go reports the installed version instead of downloading another toolchain.
    const { status, output } = await machine.run(command, ['env', 'GOVERSION'], { GOTOOLCHAIN: 'local' });
    const version = /^go1\.(\d+)/.exec(output)?.[1];
    if (status === 0 && version !== undefined && Number(version) >= GO_MINOR) return command;
  }
  return undefined;
}

const GO_MINOR = 26;
