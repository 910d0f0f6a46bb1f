import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { ROOT } from './markdown.ts';

/** Returns the code block of a page that begins with ```` ```sh MARK ````. */
export async function markedBlock(path: string, mark: string): Promise<string> {
  const page = await readFile(join(ROOT, path), 'utf8');
  const [, block] = new RegExp(`^\`\`\`sh ${mark}\\n(.*?)^\`\`\``, 'ms').exec(page) ?? [];
  if (block === undefined) throw new Error(`${path} has no block marked ${mark}`);
  return block;
}

interface ShellResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A temporary folder in which a test runs the commands of a page. `secretbridge` is on the PATH. */
export interface PageShell extends AsyncDisposable {
  readonly folder: string;
  write(path: string, content: string): Promise<void>;
  /** Runs a script with `sh` and stops at the first failure. */
  run(script: string, env?: Readonly<Record<string, string>>): Promise<ShellResult>;
}

/** Provides the `sqlite3` command on machines without it. */
const SQLITE3 = `#!/bin/sh
shift
exec '${process.execPath}' -e '
  const [file, sql] = process.argv.slice(1);
  new (require("node:sqlite").DatabaseSync)(file, { readOnly: true }).exec(sql);
' "$@"
`;

/** @param programs The paths of more commands. The keys are the names of the commands. */
export async function openPageShell(programs: Readonly<Record<string, string>> = {}): Promise<PageShell> {
  const root = await mkdtemp(join(tmpdir(), 'secretbridge-page-'));
  const folder = join(root, 'here');
  await mkdir(folder);
  await program(
    join(root, 'first/secretbridge'),
    `#!/bin/sh\nexec '${process.execPath}' '${ROOT}/src/main.ts' "$@"\n`,
  );
  for (const [name, path] of Object.entries(programs))
    await program(join(root, 'first', name), `#!/bin/sh\nexec '${path}' "$@"\n`);
  await program(join(root, 'last/sqlite3'), SQLITE3);
  const path = [join(root, 'first'), process.env.PATH ?? '', join(root, 'last')].join(delimiter);
  return {
    folder,
    async write(name, content) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), content);
    },
    async run(script, env = {}) {
      const child = spawn('sh', ['-eu', '-c', script], {
        cwd: folder,
        env: { ...env, PATH: path, HOME: folder },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const ended = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? -1)));
      const [code, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
      return { code, stdout, stderr };
    },
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
}

async function program(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
  await chmod(path, 0o755);
}
