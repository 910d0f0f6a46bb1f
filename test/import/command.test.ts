import { PassThrough, Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { openBench } from '../cli/harness.ts';
import { external, VAULT } from './harness.ts';

const one = { data: [{ secretKey: 'K', remoteRef: { key: 'a', property: 'p' } }] };
const TEXT = [VAULT, external(one)].map((object) => JSON.stringify(object)).join('\n---\n');

describe('import external-secrets', () => {
  it('`import external-secrets` prints a valid configuration and a report', async () => {
    await using bench = await openBench();
    await bench.write('in.yaml', TEXT);
    const { stdout, stderr, code } = await bench.run('import', 'external-secrets', 'in.yaml');
    // Vault must allow secretbridge's service account to use the role.
    expect(code).toBe(4);
    expect(stderr).toContain('carried over        ExternalSecret apps/db  → apps.db');
    expect(stderr).toMatch(
      /Stop External Secrets.*Check that no byte would change.*Take over.*Remove the External Secrets objects/s,
    );
    await bench.write('out.yaml', stdout);
    expect(await bench.run('validate', '--config', 'out.yaml')).toMatchObject({ code: 0 });
  });

  it('`import external-secrets` reads standard input and writes to new files', async () => {
    await using bench = await openBench();
    const stdin = () => ({ stdin: Readable.from([TEXT]) }) as object;
    const args = ['import', 'external-secrets', '-', '--out', 'out.yaml', '--report', 'report.json'];
    const { stdout, stderr } = await bench.runWith(stdin(), ...args);
    expect(stdout).toBe('');
    expect(stderr).toBe('2 objects: 1 changed in meaning, 1 carried over.\n');
    expect(JSON.parse(await bench.read('report.json'))).toMatchObject({
      summary: { carried: 1, changed: 1, notCarried: 0 },
      objects: [{ kind: 'ClusterSecretStore' }, { kind: 'ExternalSecret', becomes: ['apps.db'] }],
    });
    expect(await bench.runWith(stdin(), ...args)).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('EEXIST'),
    });
  });

  it('`import external-secrets` prints the next steps as commands with the name of the output file, and prints no migration steps if no mapping is active', async () => {
    await using bench = await openBench();
    await bench.write('in.yaml', TEXT);
    const { stderr } = await bench.run('import', 'external-secrets', 'in.yaml', '--out', "it's mine.yaml");
    for (const command of ['validate', 'doctor', 'plan', 'sync', 'serve'])
      expect(stderr).toContain(`secretbridge ${command} --config 'it'\\''s mine.yaml'\n`);
    await bench.write('store.yaml', JSON.stringify(VAULT));
    const stores = await bench.run('import', 'external-secrets', 'store.yaml');
    expect(stores.stderr).toContain('secretbridge doctor\n');
    expect(stores.stderr).not.toContain('scale deployment');
    await bench.write('apps.yaml', JSON.stringify(external(one)));
    const apps = await bench.run('import', 'external-secrets', 'apps.yaml');
    expect(apps.stderr).toContain('Finish the configuration');
    expect(apps.stderr).not.toMatch(/secretbridge doctor|scale deployment/);
  });

  it('`import external-secrets` explains how to allow text that looks like a credential', async () => {
    await using bench = await openBench();
    const template = { data: { K: 'password: hunter2hunter {{ .K }}' } };
    await bench.write(
      'in.yaml',
      [VAULT, external({ ...one, target: { template } })]
        .map((object) => JSON.stringify(object))
        .join('\n---\n'),
    );
    const { stderr } = await bench.run('import', 'external-secrets', 'in.yaml');
    expect(stderr).toMatch(
      /this looks like .*\n\s+Complete the mapping at the end of the file: .*`# secretbridge:allow`/,
    );
    expect(stderr).not.toContain('hunter2');
  });

  it('`import external-secrets` writes no file if both outputs have the same name', async () => {
    await using bench = await openBench();
    await bench.write('in.yaml', TEXT);
    const from = ['import', 'external-secrets', 'in.yaml'];
    expect(await bench.run(...from, '--out', 'out.yaml', '--report', './out.yaml')).toMatchObject({
      code: 64,
      stderr: 'error: --out and --report must be different files\n',
    });
    await expect(bench.read('out.yaml')).rejects.toThrow('ENOENT');
  });

  it('`import external-secrets` writes no file if one of the output files already exists', async () => {
    await using bench = await openBench();
    await bench.write('in.yaml', TEXT);
    await bench.write('out.yaml', 'mine');
    const from = ['import', 'external-secrets', 'in.yaml'];
    expect(await bench.run(...from, '--out', 'out.yaml', '--report', 'report.json')).toMatchObject({
      code: 64,
      stderr: 'error: out.yaml cannot be written: it exists (EEXIST)\n',
    });
    await expect(bench.read('report.json')).rejects.toThrow('ENOENT');
    expect(await bench.read('out.yaml')).toBe('mine');
  });

  it('`import external-secrets` prints a single JSON object on standard output with --output json', async () => {
    await using bench = await openBench();
    await bench.write('in.yaml', TEXT);
    const { json, stderr } = await bench.run('import', 'external-secrets', 'in.yaml', '--output', 'json');
    expect(json).toMatchObject({ config: expect.stringContaining('apps.db'), steps: expect.any(Array) });
    expect(stderr).toBe('');
  });

  it('`import external-secrets` accepts every valid instance name', async () => {
    await using bench = await openBench();
    await bench.write('in.yaml', TEXT);
    const from = ['import', 'external-secrets', 'in.yaml'];
    const { stdout } = await bench.run(...from, '--instance', 'prod.eu-1');
    expect(stdout).toContain('\ninstance: prod.eu-1\n');
    // An instance name may contain dots, but a namespace name may not.
    expect(await bench.run(...from, '--own-namespace', 'a.b')).toMatchObject({ code: 64 });
  });

  it.each([
    [['nothing.yaml'], 'nothing.yaml cannot be read: no such file or folder (ENOENT)'],
    [['-', '-'], '`-` can be given only once'],
    [['--instance', 'A B', '-'], '--instance must be a name'],
  ])('`import external-secrets` reports the problem of the input %j', async (args, message) => {
    await using bench = await openBench();
    const result = await bench.run('import', 'external-secrets', ...args);
    expect(result.code).toBe(64);
    expect(result.stderr).toContain(message);
  });

  it.each([
    ['UTF-16, as Windows PowerShell writes it', Buffer.from(`\uFEFF${TEXT}`, 'utf16le')],
    ['Latin-1', Buffer.from(`# caf\u00e9\n${TEXT}`, 'latin1')],
  ])(
    '`import external-secrets` rejects text in %s with an error, and does not report the input as empty',
    async (_, bytes) => {
      await using bench = await openBench();
      const stdin = { stdin: Readable.from([bytes]) } as object;
      expect(await bench.runWith(stdin, 'import', 'external-secrets', '-')).toMatchObject({
        code: 64,
        stdout: '',
        stderr: 'error: standard input is not UTF-8 text\n',
      });
    },
  );

  it('`import external-secrets` exits when cancelled, even while waiting for input', async () => {
    await using bench = await openBench();
    const stop = new AbortController();
    const waits = { stdin: new PassThrough(), signal: stop.signal };
    const running = bench.runWith(waits, 'import', 'external-secrets', '-');
    stop.abort(new AppError('INTERRUPTED'));
    expect(await running).toMatchObject({ code: 1, stderr: expect.stringMatching(/^error INTERRUPTED/) });
  });

  it('`import external-secrets` reports that there is nothing to import', async () => {
    await using bench = await openBench();
    await bench.write('in.yaml', 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n');
    const { code, stderr } = await bench.run('import', 'external-secrets', 'in.yaml');
    expect(code).toBe(0);
    expect(stderr).toBe('No external-secrets.io objects were found.\n');
  });

  it('`import external-secrets` prints no migration steps if no object can be converted', async () => {
    await using bench = await openBench();
    const text = [
      'apiVersion: external-secrets.io/v1\nkind: PushSecret\nmetadata: { name: a, namespace: b }\n',
      'apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: { namespace: b }\n',
    ].join('---\n');
    await bench.write('in.yaml', text);
    const { code, stderr } = await bench.run(
      'import',
      'external-secrets',
      'in.yaml',
      '--report',
      'report.json',
    );
    expect(code).toBe(4);
    expect(stderr).not.toMatch(/kubectl|To move|Of every mapping/);
    expect(JSON.parse(await bench.read('report.json'))).toMatchObject({
      objects: [],
      steps: [],
      needsPerson: true,
    });
    const textResult = await bench.run('import', 'external-secrets', 'in.yaml');
    expect(textResult.stderr).toContain('  PushSecret (external-secrets.io/v1) b/a\n');
    expect(textResult.stderr).toContain('Not readable:');
    expect(textResult.stderr).not.toMatch(/kubectl|To move|Of every mapping/);
    expect(textResult.stderr.trimEnd().endsWith('0 objects.')).toBe(true);
  });

  it('`import external-secrets` reports missing input if there are no files and no cluster', async () => {
    await using bench = await openBench();
    const { code, stderr } = await bench.run('import', 'external-secrets');
    expect(code).toBe(3);
    expect(stderr).toContain('KUBECONFIG');
  });
});
