import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { installed } from './install.ts';
import { prepareGo, versionIn } from './kubernetes-install.ts';
import { reportToStderr } from './service.ts';

const MODULE = join(import.meta.dirname, 'compose-spec');
const LOADER = 'github.com/compose-spec/compose-go/v2';

export type Composed =
  | { readonly ok: true; readonly model: ComposeModel }
  | { readonly ok: false; readonly problem: string };

/** A part of the loader's canonical form, in which the short syntax is expanded. */
export interface ComposeModel {
  readonly services: Readonly<Record<string, ComposeService>>;
}

export interface ComposeService {
  readonly image?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly {
    readonly host_ip?: string;
    readonly published?: string;
    readonly target: number;
  }[];
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly volumes?: readonly { readonly type: string; readonly source?: string; readonly target: string }[];
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
}

/** Loads a Compose file with the reference loader. Builds the loader with Go on first use. */
export async function loadCompose(path: string): Promise<Composed> {
  const program = await installComposeSpec(reportToStderr);
  try {
    const { stdout } = await promisify(execFile)(program, [path], {
      cwd: dirname(path),
      // Do not pass environment variables of this machine, because they would change the result.
      env: {},
    });
    return { ok: true, model: JSON.parse(stdout) as ComposeModel };
  } catch (error) {
    if (!(error instanceof Error && 'stderr' in error)) throw error;
    return { ok: false, problem: String(error.stderr) };
  }
}

async function installComposeSpec(report: (line: string) => void): Promise<string> {
  const version = versionIn(readFileSync(join(MODULE, 'go.mod'), 'utf8'), LOADER);
  const source = createHash('sha256')
    .update(readFileSync(join(MODULE, 'main.go')))
    .digest('hex');
  const folder = await installed(
    `compose-spec-${version}-${source.slice(0, 8)}`,
    report,
    async (draft, run) => {
      const go = await prepareGo(join(draft, 'work'), report, run);
      report(`Building the loader of Compose files ${version} (a few seconds, once) …`);
      await run({
        name: 'go build',
        command: go.command,
        args: ['build', '-o', join(draft, 'compose-spec'), '-ldflags', '-s -w', '.'],
        cwd: MODULE,
        env: go.env,
      });
    },
  );
  return join(folder, 'compose-spec');
}
