import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { CLUSTER_KINDS, LOGINS, STORE_KINDS } from '../../src/cli/init/template.ts';
import { configurationSchema } from '../../src/config/schema.ts';
import { type Bench, Collector, openBench } from './harness.ts';

const OUT = ['--out', 'new.yaml'];

async function validated(bench: Bench): Promise<unknown> {
  return (await bench.run('validate', '--config', 'new.yaml', '--output', 'json')).json;
}

const VALID = { valid: true, problems: [] };

describe('init', () => {
  it.each(STORE_KINDS.flatMap((store) => CLUSTER_KINDS.map((cluster) => [store, cluster] as const)))(
    '`init` writes a valid configuration for the store kind %s and the cluster kind %s',
    async (store, cluster) => {
      await using bench = await openBench();
      const place = ['--store', store, '--cluster', cluster, '--namespace', 'apps', '--secret', 'db'];
      const written = await bench.run('init', ...place, ...OUT);
      expect(written).toMatchObject({ code: 0, stdout: expect.stringContaining('Wrote new.yaml') });
      expect(written.stdout).toContain('secretbridge plan --config new.yaml');
      expect(await bench.read('new.yaml')).toContain('target: { namespace: apps }');
      expect(await validated(bench)).toMatchObject(VALID);
    },
  );

  it.each(
    LOGINS.flatMap((login) =>
      ['https://v:8200', 'http://v:8200', 'http://127.0.0.1:8200'].map((at) => [login, at] as const),
    ),
  )('`init` writes a Vault store with the login %s at the address %s', async (login, at) => {
    await using bench = await openBench();
    await bench.run('init', '--store', 'vault', '--login', login, '--at', at, '--mount', 'team/kv', ...OUT);
    expect(await validated(bench)).toMatchObject(VALID);
    const text = await bench.read('new.yaml');
    expect(text).toContain(`method: ${login}`);
    expect(text.includes('allowHttp')).toBe(at === 'http://v:8200');
  });

  it('`init` writes a files store and a directory cluster that work with `sync` without further changes', async () => {
    await using bench = await openBench();
    await bench.run(
      'init',
      '--store',
      'files',
      '--at',
      './store',
      '--key',
      'db.json',
      '--cluster',
      'directory',
      ...OUT,
    );
    expect(await bench.run('plan', '--config', 'new.yaml')).toMatchObject({ code: 2, stderr: '' });
    expect(await bench.run('sync', '--config', 'new.yaml')).toMatchObject({ code: 0 });
  });

  it.each(['yes: #no', 'a, b', '{a}', '[a'])(
    '`init` quotes text with a special meaning in YAML: %s',
    async (key) => {
      await using bench = await openBench();
      expect(await bench.run('init', '--store', 'files', '--key', key, ...OUT)).toMatchObject({ code: 0 });
      expect(await validated(bench)).toMatchObject(VALID);
    },
  );

  it('`init` never overwrites a file', async () => {
    await using bench = await openBench();
    const before = await bench.read('secretbridge.yaml');
    const { code, stderr } = await bench.run('init');
    expect(code).toBe(64);
    expect(stderr).toContain('already exists');
    expect(await bench.read('secretbridge.yaml')).toBe(before);
  });

  // Answers that `validate` would reject.
  it.each([
    ['--key', '', 'files'],
    ['--key', '../x', 'files'],
    ['--at', '', 'files'],
    ['--at', 'eu-west1', 'aws-secrets-manager'],
    ['--key', 'app/db', 'aws-parameter-store'],
    ['--key', 'a_b', 'azure-key-vault'],
    ['--at', 'http://example.vault.azure.net', 'azure-key-vault'],
    ['--key', 'a//b', 'vault'],
    ['--mount', 'a b', 'vault'],
    ['--at', 'https://u:hunter2@host', 'vault'],
    ['--key', 'hvs.CAESIJabcdefghijklmnopqrstuv', 'vault'],
    ['--secret', 'a..b', 'vault'],
  ])(
    '`init` rejects the option %s %s for a store of kind %s, and writes nothing',
    async (option, text, store) => {
      await using bench = await openBench();
      const { code, stderr } = await bench.run('init', '--store', store, option, text, ...OUT);
      expect({ code, stderr }).toMatchObject({ code: 64, stderr: expect.stringContaining(`${option} `) });
      expect(stderr).not.toMatch(/hunter2|hvs\./);
      for (const file of ['new.yaml', 'secretbridge.schema.json'])
        await expect(bench.read(file)).rejects.toThrow('ENOENT');
    },
  );

  it.each([
    ['--instance', 'A b'],
    ['--namespace', 'Apps'],
    ['--secret', 'a_b'],
    ['--store', 'paper'],
    ['--cluster', 'paper'],
    ['--at', 'vault'],
    ['--mount', '/secret/'],
  ])('`init` rejects the option %s %s, and writes nothing', async (...option) => {
    await using bench = await openBench();
    const { code, stderr } = await bench.run('init', ...option, ...OUT);
    expect({ code, stderr }).toMatchObject({ code: 64, stderr: expect.stringContaining(option[0] ?? '') });
    await expect(bench.read('new.yaml')).rejects.toThrow('ENOENT');
  });
});

it.each([
  ['./store', 'conf/store/db.json'],
  ['/srv/store', '/srv/store/db.json'],
  ['~/store', '~/store/db.json'],
])('`init` prints where to put the first value of a store at %s', async (at, path) => {
  await using bench = await openBench();
  await bench.write('conf/readme', '');
  const options = ['--store', 'files', '--at', at, '--key', 'db.json', '--out', 'conf/new.yaml'];
  expect((await bench.run('init', ...options)).stdout).toContain(`put the value into ${path}\n`);
});

describe('schema for editors', () => {
  it('`init` writes the schema next to the configuration, and the first line of the configuration refers to it', async () => {
    await using bench = await openBench();
    await bench.write('conf/readme', '');
    const { json } = await bench.run('init', '--out', 'conf/new.yaml', '--output', 'json');
    expect(json).toMatchObject({ schema: expect.stringMatching(/conf\/secretbridge\.schema\.json$/) });
    const [first] = (await bench.read('conf/new.yaml')).split('\n');
    expect(first).toBe('# yaml-language-server: $schema=./secretbridge.schema.json');
    expect(await bench.read('conf/secretbridge.schema.json')).toBe(configurationSchema());
    // A configuration folder may contain the schema file.
    expect(await bench.run('validate', '--config', 'conf')).toMatchObject({ code: 0 });
  });

  it('`init` writes no schema if the option --no-schema is given', async () => {
    await using bench = await openBench();
    expect(await bench.run('init', '--no-schema', ...OUT)).toMatchObject({ code: 0 });
    expect(await bench.read('new.yaml')).not.toContain('schema');
    await expect(bench.read('secretbridge.schema.json')).rejects.toThrow('ENOENT');
  });

  it('`init` stops if another file has the name of the schema file', async () => {
    await using bench = await openBench();
    await bench.write('secretbridge.schema.json', '{}');
    expect(await bench.run('init', ...OUT)).toMatchObject({ code: 64 });
    await expect(bench.read('new.yaml')).rejects.toThrow('ENOENT');
  });
});

describe('prompts of init', () => {
  const typing = (...lines: readonly string[]) => ({
    ask: { input: Readable.from(lines.map((line) => `${line}\n`)), output: new Collector() },
  });

  it('the prompts of `init` ask for the role id of the login appRole', async () => {
    await using bench = await openBench();
    const id = '8b1a5a40-5a2b-4a4c-9c5e-0d9f8f2f7a11';
    const person = typing('prod-eu', 'kubernetes', 'vault', '', '', 'appRole', id, 'db', 'apps', 'db');
    expect(await bench.runWith(person, 'init', ...OUT)).toMatchObject({ code: 0 });
    expect(person.ask.output.text).toContain('Role id of the AppRole [bridge]: ');
    expect(await bench.read('new.yaml')).toContain(`roleId: ${id}`);
    const named = ['--login', 'appRole', '--role-id', id, '--out', 'other.yaml', '--no-schema'];
    expect(await bench.run('init', ...named)).toMatchObject({ code: 0 });
    expect(await bench.read('other.yaml')).toContain(`roleId: ${id}`);
  });

  it('the prompts of `init` use the default for an empty answer', async () => {
    await using bench = await openBench();
    const person = typing('prod-eu', 'directory', 'files', '', 'db.json', 'apps', 'db');
    expect(await bench.runWith(person, 'init', ...OUT)).toMatchObject({ code: 0 });
    expect(person.ask.output.text).toContain('Kind of store (vault, files');
    const text = await bench.read('new.yaml');
    expect(text).toContain('instance: prod-eu');
    expect(text).toContain('kind: directory');
    expect(text).toContain('path: ./secrets');
  });

  it('the prompts of `init` repeat a question after an invalid answer', async () => {
    await using bench = await openBench();
    const person = typing('My Name', 'mine', '', 'valt', 'vault', 'nowhere', '', '', '', '', 'No', '', '');
    expect(await bench.runWith(person, 'init', ...OUT)).toMatchObject({ code: 0 });
    expect(person.ask.output.text.match(/^.* {2}The answer must be .*$/gm)).toHaveLength(4);
    expect(await validated(bench)).toMatchObject(VALID);
  });

  it('the prompts of `init` repeat a question if `validate` would reject the answer', async () => {
    await using bench = await openBench();
    const person = typing('', '', 'files', '', '../x', 'db.json', '', 'a..b', 'db');
    expect(await bench.runWith(person, 'init', ...OUT)).toMatchObject({ code: 0 });
    expect(person.ask.output.text.match(/^.* {2}The answer .*$/gm)).toEqual([
      expect.stringContaining('The answer must be a path relative to the folder'),
      expect.stringContaining('The answer is invalid: the Secret gets this name'),
    ]);
    expect(await validated(bench)).toMatchObject(VALID);
  });

  it('the prompts of `init` do not offer an address as the default if it contains a password', async () => {
    await using bench = await openBench();
    const person = typing('', '', '', '', '', '', '', '', '');
    const env = { VAULT_ADDR: 'https://ann:hunter2@vault', BAO_ADDR: 'https://bao:8200' };
    await bench.runWith({ ...person, env }, 'init', ...OUT);
    expect(person.ask.output.text).not.toContain('hunter2');
    expect(await bench.read('new.yaml')).toContain('address: https://bao:8200');
  });

  it('the prompts of `init` offer the values of the environment variables that the command-line tools of the store use', async () => {
    await using bench = await openBench();
    const person = typing('', '', '', '', '', '', '', '', '');
    await bench.runWith({ ...person, env: { VAULT_ADDR: 'https://vault.here:8200' } }, 'init', ...OUT);
    expect(await bench.read('new.yaml')).toContain('address: https://vault.here:8200');
  });

  it("the prompts of `init` do not start if the configuration or another file with the schema's name already exists", async () => {
    await using bench = await openBench();
    await bench.write('conf/secretbridge.schema.json', '{}');
    for (const out of ['secretbridge.yaml', 'conf/new.yaml']) {
      const person = typing('prod');
      expect(await bench.runWith(person, 'init', '--out', out)).toMatchObject({
        code: 64,
        stderr: expect.stringContaining('exists'),
      });
      expect(person.ask.output.text).toBe('');
    }
  });

  it('the prompts of `init` write nothing if the user quits', async () => {
    await using bench = await openBench();
    expect(await bench.runWith(typing('prod'), 'init', ...OUT)).toMatchObject({ code: 1 });
    await expect(bench.read('new.yaml')).rejects.toThrow('ENOENT');
    await expect(bench.read('secretbridge.schema.json')).rejects.toThrow('ENOENT');
  });
});
