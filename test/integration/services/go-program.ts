import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { buildGoPrograms, versionIn } from './go-build.ts';
import { installed } from './install.ts';
import { reportToStderr } from './service.ts';

/** The longest time that a test waits for the build of its programs. */
export const BUILD_MS = 600_000;

/** Programs that Go builds from one module. */
export interface GoPrograms {
  /** The folder of the module, next to this file. */
  readonly module: string;
  /** The dependency whose version is the version of the programs. */
  readonly versionOf: string;
  /** What is built, for the line that announces the build. */
  readonly title: string;
  /** How long the build usually takes on two cores. */
  readonly seconds: number;
  /** The packages to build. The keys are the paths of the programs below the returned folder. */
  readonly programs: Readonly<Record<string, string>>;
  readonly tags?: readonly string[];
  /** A folder of that dependency to keep beside the programs, with the same path. */
  readonly files?: string;
}

/** Returns the folder of the programs. Builds them on first use. */
export async function installGoProgram(
  { module, versionOf, title, seconds, programs, tags = [], files }: GoPrograms,
  report = reportToStderr,
): Promise<string> {
  const cwd = join(import.meta.dirname, module);
  const version = versionIn(readFileSync(join(cwd, 'go.mod'), 'utf8'), versionOf);
  return installed(
    `${module}-${version}${sourceHash(cwd)}`,
    report,
    async (draft, run, progress) => {
      const duration = seconds > 60 ? `about ${Math.round(seconds / 60)} minutes` : 'a few seconds';
      report(`Building ${title} ${version} (${duration}, once) …`);
      const sources = await buildGoPrograms({ draft, report, run, progress }, [
        { folder: cwd, programs, tags },
      ]);
      if (files === undefined) return;
      await cp(join(await sources(cwd, versionOf), files), join(draft, files), { recursive: true });
    },
    { seconds },
  );
}

/** Returns a suffix for the name of the installation, because a program of our own changes without a new version. */
function sourceHash(folder: string): string {
  const source = join(folder, 'main.go');
  if (!existsSync(source)) return '';
  return `-${createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 8)}`;
}
