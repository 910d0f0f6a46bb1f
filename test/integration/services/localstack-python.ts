import { readdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { findPython, type Machine, thisMachine } from './requirements.ts';

/** A Python interpreter, with its version as `3.12`. */
export interface Python {
  readonly command: string;
  readonly version: string;
}

const CHECK = 'import sys, venv, ensurepip; print("%d.%d" % sys.version_info[:2])';
/**
 * STS, SQS and EventBridge of LocalStack need at least this Python version. Secrets Manager and Parameter Store of
 * LocalStack also run with older versions.
 */
const OLDEST_MINOR = 12;
const NEWEST_MINOR = 13;

/**
 * Finds a Python that runs all of LocalStack, even if another Python is first on PATH. If there is no such Python,
 * returns the default Python, which runs only a part of LocalStack.
 */
export async function findLocalStackPython(
  report: (line: string) => void,
  machine: Machine = thisMachine,
  versionsFolder = join(process.env.PYENV_ROOT ?? join(homedir(), '.pyenv'), 'versions'),
): Promise<Python> {
  for (const command of ['python3.13', 'python3.12', 'python3', ...(await pyenvCommands(versionsFolder))]) {
    const version = await versionOf(command, machine);
    const minor = Number(version?.split('.')[1]);
    if (version !== undefined && minor >= OLDEST_MINOR && minor <= NEWEST_MINOR) return { command, version };
  }
  const command = await findPython(report, machine);
  return { command, version: (await versionOf(command, machine)) ?? 'unknown' };
}

async function versionOf(command: string, machine: Machine): Promise<string | undefined> {
  const { status, output } = await machine.run(command, ['-c', CHECK]);
  return status === 0 ? /^3\.\d+/.exec(output)?.[0] : undefined;
}

async function pyenvCommands(folder: string): Promise<readonly string[]> {
  try {
    const versions = await readdir(folder);
    return versions
      .filter((version) => /^3\.1[23]\.\d+$/.test(version))
      .sort()
      .reverse()
      .map((version) => join(folder, version, 'bin', 'python3'));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}
