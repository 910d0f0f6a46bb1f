import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { runHere } from '../e2e/program.ts';
import { need, thisMachine } from '../services/requirements.ts';
import { ServiceError } from '../services/service.ts';
import { openShell } from './shell.ts';

const run = promisify(execFile);

/** Lines as a person types them, and what the shell makes of them. */
const TYPED = [
  ['secretbridge aud\tli\t--outp\tj\t', /^audit list --output[= ]json ?$/],
  ['secretbridge plan --config conf\t', /^plan --config config\.yaml ?$/],
  ['secretbridge plan --output=y\t', /^plan --output=yaml ?$/],
  ['secretbridge audit list --review fl\t', /^audit list --review flagged ?$/],
  ['secretbridge help audit exp\t', /^help audit export ?$/],
  ['secretbridge completion f\t', /^completion fish ?$/],
] as const;

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'secretbridge-completion-'));
  await writeFile(join(folder, 'config.yaml'), '');
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { stdout } = await runHere(['completion', shell], { cwd: folder, env: {} });
    await writeFile(join(folder, shell), stdout);
  }
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** The shell, installed under root on Debian; where it cannot be had the test is left out, and says why. */
async function shell(name: string, context: TestContext): Promise<void> {
  try {
    await need(
      {
        missing: `The shell ${name} is missing.`,
        package: name,
        takes: 'a few seconds',
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

/** `script` of other systems has other options. */
async function terminal(context: TestContext): Promise<void> {
  const { output } = await thisMachine.run('/usr/bin/script', ['--version']);
  if (!output.includes('util-linux')) context.skip('There is no `script` of util-linux to make a terminal.');
}

describe('completion on a terminal', () => {
  it('in bash', async (context) => {
    await shell('bash', context);
    await terminal(context);
    await using bash = await openShell('bash --norc -i', ['source ./bash'], folder);
    for (const [line, expected] of TYPED) expect(await bash.type(line)).toMatch(expected);
  });

  it.for([
    ['sourced', ['autoload -Uz compinit', 'compinit -u -D', 'source ./zsh']],
    [
      'from a folder of $fpath',
      ['cp zsh _secretbridge', 'fpath=($PWD $fpath)', 'autoload -Uz compinit', 'compinit -u -D'],
    ],
  ] as const)('in zsh, %s', async ([, load], context) => {
    await shell('zsh', context);
    await terminal(context);
    await using zsh = await openShell('zsh -f -i', load, folder);
    for (const [line, expected] of TYPED) expect(await zsh.type(line)).toMatch(expected);
  });

  it('in fish', async (context) => {
    await shell('fish', context);
    const proposed = async (line: string) => {
      const script = `source ./fish; complete -C ${JSON.stringify(line)}`;
      const { stdout } = await run('fish', ['--no-config', '-c', script], {
        cwd: folder,
        env: { ...process.env, HOME: folder },
      });
      return stdout
        .split('\n')
        .filter(Boolean)
        .map((one) => one.split('\t')[0]);
    };
    expect(await proposed('secretbridge aud')).toEqual(['audit']);
    expect(await proposed('secretbridge audit list --outp')).toEqual(['--output']);
    expect(await proposed('secretbridge audit list --output ')).toEqual(['human', 'json', 'yaml']);
    expect(await proposed('secretbridge plan --config conf')).toEqual(['config.yaml']);
    expect(await proposed('secretbridge help audit exp')).toEqual(['export']);
    expect(await proposed('secretbridge plan --mapping ')).toEqual([]);
    expect(await proposed('secretbridge plan ')).toEqual([]);
  });
});
