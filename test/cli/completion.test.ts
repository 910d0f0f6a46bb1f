import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, symlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Bench, openBench } from './harness.ts';

const BASH = ['/bin/bash', '/usr/bin/bash'].find((path) => existsSync(path));

const PROGRAM = resolve(import.meta.dirname, '../../bin/secretbridge.js');

/** Returns the completions that bash proposes for the last word, which may be empty. */
async function proposed(bench: Bench, ...words: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await bench.run('completion', 'bash');
  const script = `set -euo pipefail
${stdout}
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_secretbridge || true
[[ \${#COMPREPLY[@]} == 0 ]] || printf '%s\\n' "\${COMPREPLY[@]}"`;
  const run = spawnSync(BASH ?? 'bash', ['-c', script, 'bash', 'secretbridge', ...words], {
    cwd: bench.folder,
    env: {
      PATH: [join(bench.folder, 'bin'), dirname(process.execPath), process.env.PATH].join(':'),
      HOME: bench.folder,
    },
    encoding: 'utf8',
  });
  expect(run.stderr).toBe('');
  return run.stdout.split('\n').filter((line) => line !== '');
}

describe.skipIf(BASH === undefined)('completion in bash (skipped if bash is not installed)', () => {
  it.each([
    [['pl'], ['plan']],
    [['audit', 've'], ['verify']],
    [
      ['plan', '--out'],
      ['--output', '--out'],
    ],
    [['sync', '--out'], ['--output']],
    [
      ['plan', '--output', ''],
      ['human', 'json', 'yaml', 'markdown'],
    ],
    [['plan', '-o', 'j'], ['json']],
    // Bash splits --output=j into these words.
    [['plan', '--output', '=', 'j'], ['json']],
    [
      ['plan', '--output', '='],
      ['human', 'json', 'yaml', 'markdown'],
    ],
    [['audit', 'list', '--review', 'un'], ['unreviewed']],
    [['audit', 'export', '--format', 'o'], ['ocsf']],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish'],
    ],
    [['help', 'audit', 'sh'], ['show']],
    [['explain-e'], ['explain-error']],
    [['explain-error', 'NOT_OW'], ['NOT_OWNED']],
    [
      ['import', ''],
      [
        'external-secrets',
        'kubernetes-external-secrets',
        'secrets-store-csi',
        'vault-secrets-operator',
        'cluster',
      ],
    ],
    // Without a configuration there are no names.
    [['plan', '--mapping', ''], []],
    [['explain', ''], []],
    // An option value that equals a command name is not treated as the command.
    [['plan', '--mapping', 'audit', '--al'], ['--all']],
    [['nope', ''], expect.arrayContaining(['plan'])],
  ])('bash completion completes the words %j', async (words, expected) => {
    await using bench = await openBench();
    expect(await proposed(bench, ...words)).toEqual(expected);
  });

  it('bash completion proposes all commands, and all options of a command', async () => {
    await using bench = await openBench();
    expect(await proposed(bench, '')).toEqual(
      expect.arrayContaining(['init', 'plan', 'sync', 'serve', 'audit', 'version', 'help']),
    );
    const help = (await bench.run('plan', '--help')).stdout;
    const options = [...help.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)/gm)].map(([, name]) => name);
    const flags = await proposed(bench, 'plan', '-');
    expect(flags.filter((flag) => flag.startsWith('--')).toSorted()).toEqual(options.toSorted());
  });

  it('bash completion proposes the mappings, namespaces and stores of the configuration', async () => {
    await using bench = await openBench();
    await mkdir(join(bench.folder, 'bin'));
    await symlink(PROGRAM, join(bench.folder, 'bin', 'secretbridge'));
    await bench.write(
      'other.yaml',
      `apiVersion: secretbridge.dev/v1
instance: prod
stores: [ { name: local, kind: files, path: ./store } ]
mappings:
  - { name: db, target: { namespaces: [shop, apps] }, data: { A: { store: local, key: a } } }
  - { name: api, target: { namespace: apps }, data: { A: { store: local, key: a } } }
`,
    );
    for (const [words, expected] of [
      [
        ['plan', '-c', 'other.yaml', '--mapping', ''],
        ['db', 'api'],
      ],
      [['explain', '--config', '=', 'other.yaml', 'd'], ['db']],
      [
        ['audit', 'list', '--config', 'other.yaml', '--namespace', ''],
        ['apps', 'shop'],
      ],
      [['audit', 'list', '--config', 'other.yaml', '--store', ''], ['local']],
      [['explain', '--config', 'missing.yaml', ''], []],
    ] as const)
      expect(await proposed(bench, ...words), words.join(' ')).toEqual(expected);
  });

  it('bash completion proposes file names for path options, including names with spaces', async () => {
    await using bench = await openBench();
    await bench.write('my config.yaml', '');
    for (const words of [
      ['plan', '--config', 'my'],
      ['import', 'external-secrets', 'my'],
      ['audit', 'verify', '--audit', 'my'],
      ['audit', 'verify', '--key', 'my'],
    ])
      expect(await proposed(bench, ...words)).toEqual(['my config.yaml']);
  });
});

describe('completion', () => {
  it('`completion` rejects a shell that is not in the list of supported shells', async () => {
    await using bench = await openBench();
    expect((await bench.run('completion', 'tcsh')).code).toBe(64);
    for (const shell of ['bash', 'zsh', 'fish'])
      expect((await bench.run('completion', shell)).stdout).toContain(`secretbridge completion ${shell}`);
  });
});
