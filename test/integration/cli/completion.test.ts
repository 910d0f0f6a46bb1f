import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { runInProcess } from '../e2e/program.ts';
import { findOrInstall, thisMachine } from '../services/requirements.ts';
import { ServiceError } from '../services/service.ts';
import { BIN, openShell } from './shell.ts';

const run = promisify(execFile);

/** Typed lines, each with the command that completion must produce. */
const COMPLETIONS = [
  ['secretbridge aud\tli\t--outp\tj\t', /^audit list --output[= ]json ?$/],
  ['secretbridge plan --config conf\t', /^plan --config config\.yaml ?$/],
  ['secretbridge plan --output=y\t', /^plan --output=yaml ?$/],
  ['secretbridge audit list --review fl\t', /^audit list --review flagged ?$/],
  ['secretbridge help audit exp\t', /^help audit export ?$/],
  ['secretbridge completion f\t', /^completion fish ?$/],
  [
    'secretbridge plan --config config.yaml --mapping pay\t',
    /^plan --config config\.yaml --mapping payments-db ?$/,
  ],
] as const;

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'secretbridge-completion-'));
  await writeFile(
    join(folder, 'config.yaml'),
    `apiVersion: secretbridge.dev/v1
instance: prod
stores: [ { name: local, kind: files, path: ./store } ]
mappings:
  - { name: payments-db, target: { namespace: apps }, data: { A: { store: local, key: a } } }
`,
  );
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { stdout } = await runInProcess(['completion', shell], { cwd: folder, env: {} });
    await writeFile(join(folder, shell), stdout);
  }
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** Installs the shell if it is missing. Skips the test with the reason if the shell cannot be installed. */
async function requireShell(name: string, context: TestContext): Promise<void> {
  try {
    await findOrInstall(
      {
        missing: `The shell ${name} is missing.`,
        package: name,
        duration: 'a few seconds',
        find: async ({ run: attempt }) =>
          (await attempt(name, ['--version'])).status === 0 ? name : undefined,
      },
      (line) => process.stderr.write(`${line}\n`),
    );
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    context.skip(error.message);
  }
}

/**
 * Skips the test if the `script` command of util-linux is missing. The `script` command of other systems has other
 * options.
 */
async function requireTerminal(context: TestContext): Promise<void> {
  const { output } = await thisMachine.run('/usr/bin/script', ['--version']);
  if (!output.includes('util-linux')) context.skip('needs the command `script` of util-linux for a terminal');
}

describe('completion on a terminal', () => {
  it('completes in bash', async (context) => {
    await requireShell('bash', context);
    await requireTerminal(context);
    await using bash = await openShell('bash --norc -i', ['source ./bash'], folder);
    for (const [line, expected] of COMPLETIONS) expect(await bash.type(line)).toMatch(expected);
  });

  it.for([
    ['sourced', ['autoload -Uz compinit', 'compinit -u -D', 'source ./zsh']],
    [
      'from a folder of $fpath',
      ['cp zsh _secretbridge', 'fpath=($PWD $fpath)', 'autoload -Uz compinit', 'compinit -u -D'],
    ],
  ] as const)('completes in zsh (completion script %s)', async ([, load], context) => {
    await requireShell('zsh', context);
    await requireTerminal(context);
    await using zsh = await openShell('zsh -f -i', load, folder);
    for (const [line, expected] of COMPLETIONS) expect(await zsh.type(line)).toMatch(expected);
  });

  it('completes in fish', async (context) => {
    await requireShell('fish', context);
    const completionsOf = async (line: string) => {
      const script = `source ./fish; complete -C ${JSON.stringify(line)}`;
      const { stdout } = await run('fish', ['--no-config', '-c', script], {
        cwd: folder,
        env: { ...process.env, HOME: folder, PATH: `${BIN}:${process.env.PATH}` },
      });
      return stdout
        .split('\n')
        .filter(Boolean)
        .map((completion) => completion.split('\t')[0]);
    };
    expect(await completionsOf('secretbridge aud')).toEqual(['audit']);
    expect(await completionsOf('secretbridge audit list --outp')).toEqual(['--output']);
    expect(await completionsOf('secretbridge audit list --output ')).toEqual(['human', 'json', 'yaml']);
    expect(await completionsOf('secretbridge plan --config conf')).toEqual(['config.yaml']);
    expect(await completionsOf('secretbridge help audit exp')).toEqual(['export']);
    expect(await completionsOf('secretbridge plan -c config.yaml --mapping ')).toEqual(['payments-db']);
    expect(await completionsOf('secretbridge explain -c config.yaml ')).toEqual(['payments-db']);
    expect(await completionsOf('secretbridge plan ')).toEqual([]);
  });
});
