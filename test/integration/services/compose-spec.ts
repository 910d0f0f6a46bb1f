import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type GoPrograms, installGoProgram } from './go-program.ts';

const LOADER: GoPrograms = {
  module: 'compose-spec',
  versionOf: 'github.com/compose-spec/compose-go/v2',
  title: 'the loader of Compose files',
  seconds: 30,
  programs: { 'compose-spec': '.' },
};

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
  const program = join(await installGoProgram(LOADER), 'compose-spec');
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
