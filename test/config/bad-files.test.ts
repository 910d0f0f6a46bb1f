import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { HEAD, linesOf, load, loadText, VALID } from './memory-fs.ts';

const messages = async (text: string | Uint8Array) => linesOf(await loadText(text));

describe('an invalid configuration file', () => {
  it.each([
    ['an empty file', '', '1:1  CONFIG_INVALID: the configuration is empty'],
    ['comments only', '# later\n---\n', '1:1  CONFIG_INVALID: the configuration is empty'],
    [
      'a list',
      '- a\n',
      '1:1  CONFIG_INVALID: expected an object with sections such as `stores` and `mappings`',
    ],
    ['a tab', 'a:\n\tb: 1\n', '2:1  CONFIG_INVALID: a tab is used for indentation; YAML allows spaces only'],
    [
      'a duplicate key',
      'a: 1\n"a": 2\n',
      '2:1  CONFIG_INVALID: `a` is set twice, first at secretbridge.yaml:1:1',
    ],
    [
      'keys that become equal',
      '1: a\n"1": b\n',
      '2:1  CONFIG_INVALID: `1` is set twice, first at secretbridge.yaml:1:1',
    ],
    ['an anchor', 'a: &x 1\n', '1:4  CONFIG_INVALID: an anchor (`&name`) is not supported: remove it'],
    [
      'an alias',
      'a: *x\n',
      '1:4  CONFIG_INVALID: an alias (`*name`) is not supported: write the value out, or use quotes if it is text',
    ],
    [
      'a merge key',
      '<<: { a: 1 }\n',
      '1:1  CONFIG_INVALID: a merge key (`<<`) is not supported: write the values out',
    ],
    [
      'a tag',
      'a: !env X\n',
      '1:4  CONFIG_INVALID: a tag (`!name`) is not supported: remove it, or use quotes if it is text',
    ],
    ['a key that is a list', '? [a]\n: b\n', '1:3  CONFIG_INVALID: a name must be text'],
    ['a key of the language', '__proto__: 1\n', '1:1  CONFIG_INVALID: the name `__proto__` is not supported'],
    [
      'YAML 1.1',
      '%YAML 1.1\n---\na: yes\n',
      '1:1  CONFIG_INVALID: a `%YAML` directive with a version other than 1.2: remove it',
    ],
    ['deep nesting', '['.repeat(100_000), expect.stringContaining('CONFIG_INVALID: nested too deeply')],
    ['an open quote', 'a: "x\n', '1:4  CONFIG_INVALID: the quote `"` is not closed'],
    ['an open bracket', 'a: { b: 1\nc: 2\n', '1:4  CONFIG_INVALID: the bracket `{` is not closed'],
    ['zero bytes', 'a: \0', '1:1  CONFIG_INVALID: this is not a text file: it contains zero bytes'],
    ['binary', new Uint8Array([0x61, 0xff, 0xfe]), '1:1  CONFIG_INVALID: this is not UTF-8 text'],
  ])('rejects an invalid file with the position of the mistake: %s', async (_, text, line) => {
    expect(await messages(text)).toContainEqual(line);
  });

  it('rejects a file that is too large, without parsing the file', async () => {
    const lines = await messages('a'.repeat(10_000_000));
    expect(lines).toEqual([
      '1:1  CONFIG_INVALID: the file is too large: 9.5 MiB, at most 4 MiB are allowed; split it into several files',
    ]);
  });

  it('rejects nested YAML aliases without exhausting memory', async () => {
    const names = 'abcdefghijklmnopqrst'.split('');
    const lines = names.map(
      (name, i) =>
        `${name}: &${name} [${Array(9)
          .fill(i === 0 ? 'x' : `*${names[i - 1]}`)
          .join()}]`,
    );
    const found = await messages(lines.join('\n'));
    const reportsOf = (what: string) =>
      found.filter((line) => line.includes(`${what} is not supported`)).length;
    expect([reportsOf('an anchor (`&name`)'), reportsOf('an alias (`*name`)')]).toEqual([20, 19 * 9]);
    expect(await messages(`a: [${'*x, '.repeat(100_000)}]\n`)).toHaveLength(1_000);
  });

  it.each([
    ['the file', { '/home/ann/secretbridge.yaml': { fails: 'EACCES' } }, 'permission denied'],
    ['the file', { '/home/ann/secretbridge.yaml': { fails: 'ELOOP' } }, 'its symbolic links form a loop'],
    ['the file', { '/home/ann/secretbridge.yaml': { fails: 'ENXIO' } }, 'the file cannot be read (ENXIO)'],
    ['a pipe', { '/home/ann/secretbridge.yaml': { pipe: true } }, 'this is not a regular file'],
  ] as const)('the loader reports the reason if %s cannot be read', async (_, files, message) => {
    expect((await load(files)).problems).toEqual([
      { file: 'secretbridge.yaml', line: 1, column: 1, path: '', code: 'CONFIG_INVALID', message },
    ]);
  });

  it('the loader reports link loops, empty folders and missing files on a real file system', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'config-'));
    try {
      await symlink('b', join(folder, 'a'));
      await symlink('a', join(folder, 'b'));
      await mkdir(join(folder, 'empty'));
      await mkdir(join(folder, '..data-1'));
      await writeFile(join(folder, '..data-1', 'c.yaml'), VALID);
      await symlink('..data-1', join(folder, '..data'));
      await symlink('..data/c.yaml', join(folder, 'c.yaml'));
      const problems = async (...paths: string[]) => {
        const loaded = await loadConfig({ paths, env: {}, cwd: folder });
        return loaded.problems.map(({ file, message }) => `${file}: ${message}`);
      };
      expect(await problems('a', 'empty', 'missing.yaml', 'c.yaml/x')).toEqual([
        'a: its symbolic links form a loop',
        'c.yaml/x: a part of the path is not a folder',
        'empty: the folder contains no *.yaml or *.yml file',
        'missing.yaml: no such file or folder',
      ]);
      expect(await problems('.')).toEqual([]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('an empty file beside other files', () => {
  const MAIN = '/home/ann/conf/a.yaml';
  const EMPTY = 'the file is empty; delete it, or add a comment if this is intended';

  it.each(['', '\n', ' \r\n\t', '\uFEFF'])('rejects an empty file with the content %j', async (text) => {
    const loaded = await load({ [MAIN]: VALID, '/home/ann/conf/b.yaml': text }, 'conf');
    expect(loaded.kind).toBe('invalid');
    expect(loaded.problems).toEqual([
      { file: 'conf/b.yaml', line: 1, column: 1, path: '', code: 'CONFIG_INVALID', message: EMPTY },
    ]);
  });

  it('an empty file neither hides problems in other files nor causes false problems in other files', async () => {
    const wrong = `${VALID}lgo: {}\n`.replace('store: team-vault', 'store: elsewhere');
    const loaded = await load({ [MAIN]: wrong, '/home/ann/conf/b.yaml': '' }, 'conf');
    expect(loaded.problems.map(({ file, path }) => [file, path])).toEqual([
      ['conf/a.yaml', 'lgo'],
      ['conf/b.yaml', ''],
    ]);
  });

  it.each(['# None for now.\n', '---\n', 'mappings: []\n'])(
    'does not treat a file as empty if it contains %j',
    async (text) => {
      expect(linesOf(await load({ [MAIN]: VALID, '/home/ann/conf/b.yaml': text }, 'conf'))).toEqual([]);
    },
  );

  it('disables an empty included file', async () => {
    const include = `include: [ { path: ../teams, namespaces: [a], stores: [team-vault], keys: ['a/**'] } ]\n`;
    const loaded = await load({ [MAIN]: `${VALID}${include}`, '/home/ann/teams/one.yaml': '' }, 'conf');
    expect(loaded.kind === 'usable' && loaded.config.includes[0]?.state).toBe('disabled');
    expect(loaded.problems.map(({ message }) => message)).toEqual([EMPTY]);
  });
});

describe('a file', () => {
  it('accepts a byte order mark and CRLF, and still reports correct positions', async () => {
    expect(await messages(`\uFEFF${HEAD}lgo: {}\n`.replaceAll('\n', '\r\n'))).toEqual([
      '3:1 lgo CONFIG_INVALID: unknown key `lgo` — did you mean `log`?',
    ]);
    expect(await messages(`\uFEFFapiVersion: 1\r\ninstance: prod\r\n`)).toEqual([
      '1:13 apiVersion CONFIG_INVALID: expected `secretbridge.dev/v1`, got a number',
    ]);
  });

  it('never quotes a file in an error if the file is not YAML', async () => {
    for (const text of [
      'token: "MARKER',
      'token: MARKER: MARKER',
      'token: *MARKER',
      '{MARKER: [',
      '- MARKER\nMARKER: x',
      'x: @MARKER',
    ])
      expect((await messages(text)).join()).not.toContain('MARKER');
  });
});
