import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import type { Row } from './row.ts';

/** The result of a run. `--out` writes it to a file, and `--compare` reads it. */
export interface Result {
  readonly format: 1;
  /** The start time of the run, as ISO 8601. */
  readonly at: string;
  readonly quick: boolean;
  readonly versions: Readonly<Record<string, string>>;
  readonly machine: Machine;
  readonly groups: readonly {
    readonly name: string;
    readonly title: string;
    readonly rows: readonly Row[];
  }[];
}

export interface Machine {
  readonly system: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
}

export function machine(): Machine {
  const all = cpus();
  return {
    system: `${type()} ${release()}`,
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
  };
}

const ROOT = join(import.meta.dirname, '../..');

/** Returns the versions of the program and its environment. */
export function versions(): Readonly<Record<string, string>> {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  return { secretbridge: version, commit: commit(), node: process.versions.node };
}

function commit(): string {
  try {
    const git = (...args: string[]) =>
      execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' });
    const changed =
      git('status', '--porcelain', '--', 'src', 'package-lock.json') === '' ? '' : ' and changes';
    return git('rev-parse', '--short', 'HEAD').trim() + changed;
  } catch (error) {
    // Git or the checkout can be missing, for example in an installed package.
    if (error instanceof Error && ('status' in error || 'code' in error)) return 'unknown';
    throw error;
  }
}
