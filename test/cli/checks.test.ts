import { chmod, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { DB, HEAD, openBench } from './harness.ts';

const KUBERNETES = `${HEAD.replace(/cluster: .*/, 'cluster: { kind: kubernetes, scope: names }')}${DB}  - name: api
    target: { namespace: shop, secret: api-keys }
    data: { KEY: { store: local, key: db.json } }
`;

describe('validate', () => {
  it('`validate` prints the number of stores, mappings and targets', async () => {
    await using bench = await openBench();
    expect(await bench.run('validate')).toMatchObject({
      code: 0,
      stdout: 'The configuration is valid: 1 store, 1 mapping, 1 target.\n',
      stderr: '',
    });
    expect((await bench.run('validate', '--output', 'json')).json).toEqual({
      valid: true,
      problems: [],
    });
  });

  it('`validate` warns if checkpoints cannot be read back', async () => {
    await using bench = await openBench(`${HEAD}audit: { checkpoints: [] }\n${DB}`);
    const { code, json } = await bench.run('validate', '--output', 'json');
    const warning = { code: 'CHECKPOINTS_MISSING', path: 'audit.checkpoints', line: 5 };
    expect({ code, ...Object(json) }).toMatchObject({ code: 0, valid: true, warnings: [warning] });
    expect((await bench.run('validate')).stdout).toContain('warning CHECKPOINTS_MISSING');
    expect((await bench.run('doctor')).stdout).toContain('warning CHECKPOINTS_MISSING');
  });

  it('`validate` warns of environment variables, files and folders that are missing here, and prints no literal', async () => {
    const literal = 's3cr3tm4rk3r';
    await using bench = await openBench(
      `${HEAD.replace('./store', './none')}keys: { fingerprint: [ { file: ./state/new.key }, { file: ./old.key } ] }
http:
  tokens:
    - { name: ann, role: viewer, token: { env: ANN_TOKEN } }
    - { name: bob, role: viewer, token: { env: ${literal} } }
    - { name: eve, role: viewer, token: { env: SET } }
${DB}`,
    );
    const { code, json } = await bench.runWith({ env: { SET: literal } }, 'validate', '--output', 'json');
    expect(code).toBe(0);
    const { warnings } = json as {
      warnings: { line: number; code: string; path: string; message: string }[];
    };
    expect(warnings.map(({ line, message }) => `${line}: ${message}`)).toEqual([
      '4: the folder `./none` does not exist here',
      '5: the file `./old.key` does not exist here',
      '8: the environment variable `ANN_TOKEN` is not set here',
      '9: the environment variable is not set here',
    ]);
    expect(warnings[2]).toMatchObject({ code: 'CREDENTIAL_MISSING', path: 'http.tokens[0].token' });
    const { stdout } = await bench.run('validate');
    expect(stdout).toContain('`ANN_TOKEN` is not set here (secretbridge.yaml:8:41)');
    expect(stdout).not.toContain(literal);
    // The service may run elsewhere.
    expect((await bench.run('plan')).stdout).not.toContain('not set here');
  });

  it('a command does not say that no action is needed, because it does not try again by itself', async () => {
    await using bench = await openBench(HEAD.replace('./store', './none') + DB);
    for (const command of ['doctor', 'plan', 'sync']) {
      const { stdout } = await bench.run(command);
      expect(stdout).toContain('Run the command again. If the error persists, check `path` of the store');
      expect(stdout).not.toContain('No action needed');
    }
  });

  it('`validate` warns of a region of AWS that is not known, and names the nearest one', async () => {
    const store = (fields: string) =>
      HEAD.replace(/stores.*\n/, `stores: [ { name: local, kind: aws-secrets-manager, ${fields} } ]\n`) + DB;
    await using bench = await openBench(store('region: eu-wst-1'));
    const { stdout } = await bench.run('validate');
    expect(stdout).toContain('AWS has no region `eu-wst-1` that we know; did you mean `eu-west-1`?');
    expect(stdout).toContain('(secretbridge.yaml:4:');
    for (const fields of ['region: eu-west-1', "region: lab-1-1, endpoint: 'https://aws.internal'"]) {
      await bench.write('secretbridge.yaml', store(fields));
      expect((await bench.run('validate')).stdout).not.toContain('AWS has no region');
    }
  });

  it('`validate` shows the line of a problem, and `plan` shows it too', async () => {
    await using bench = await openBench(HEAD + DB.replace('target:', 'taget:'));
    const excerpt = '     7 |     taget: { …: … }\n       |     ^^^^^\n';
    expect((await bench.run('validate')).stdout).toContain(excerpt);
    expect((await bench.run('plan')).stderr).toContain(excerpt);
  });

  it('`validate` accesses no store, no cluster and no audit log', async () => {
    await using bench = await openBench();
    await bench.run('validate');
    expect((await readdir(bench.folder)).toSorted()).toEqual(['secretbridge.yaml', 'store']);
  });

  it('`validate` prints problems in the format that compilers use: file, line and column', async () => {
    await using bench = await openBench(HEAD + DB.replace('target:', 'taget:'));
    const { code, stdout } = await bench.run('validate');
    expect(code).toBe(3);
    expect(stdout).toMatch(/^secretbridge\.yaml:7:5 {2}CONFIG_INVALID {2}mappings\[0\]/m);
    expect(stdout).toContain('did you mean `target`?');
    expect(stdout).toMatch(/The configuration has \d problems?\.\n$/);
  });

  it('`validate` accepts several files and folders, and finds the configuration through SECRETBRIDGE_CONFIG', async () => {
    await using bench = await openBench(HEAD);
    await bench.write('more/db.yaml', DB);
    const both = await bench.run('validate', '-c', 'secretbridge.yaml', '-c', 'more');
    expect(both).toMatchObject({ code: 0, stdout: expect.stringContaining('1 mapping') });
    const env = { SECRETBRIDGE_CONFIG: join(bench.folder, 'secretbridge.yaml') };
    expect(await bench.runWith({ env, cwd: '/' }, 'validate')).toMatchObject({ code: 0 });
    const nowhere = await bench.runWith({ cwd: join(bench.folder, 'store') }, 'validate');
    expect(nowhere.code).toBe(3);
    expect(nowhere.stdout).toContain('--config');
  });
});

describe('doctor', () => {
  it('`doctor` runs all checks, changes no target, and passes', async () => {
    await using bench = await openBench();
    const { code, stdout } = await bench.run('doctor');
    expect(code).toBe(0);
    expect(stdout.trimEnd().split('\n')).toEqual([
      `ok    audit: write ${join(bench.folder, 'state', 'audit.db')}`,
      'ok    cluster: configuration',
      `ok    cluster: reach ${join(bench.folder, 'cluster')}`,
      'ok    namespace: create in apps',
      'ok    target: write apps/db (mapping db)',
      'ok    keys: fingerprint',
      'ok    store local: folder',
      'ok    read store local, key db.json',
      'ok    target: sync apps/db (mapping db)',
      '',
      'Tried 1 store, 1 source, 1 target. All checks passed.',
    ]);
    expect(await readdir(bench.folder)).not.toContain('cluster');
  });

  it('`doctor` prints the documented JSON, with a code and a remedy for each failed check', async () => {
    await using bench = await openBench(
      HEAD.replace('./store', './none') + DB.replaceAll('user', 'absent').replace('password', 'absent'),
    );
    const { code, json } = await bench.run('doctor', '--output', 'json');
    expect(code).toBe(1);
    const { ok, checks } = json as { ok: boolean; checks: { name: string; ok: boolean }[] };
    expect(ok).toBe(false);
    expect(checks.filter((check) => !check.ok)).toEqual([
      {
        name: 'store local: folder',
        ok: false,
        code: 'STORE_UNAVAILABLE',
        message: expect.stringContaining('its folder does not exist'),
        remedy: expect.any(String),
      },
      {
        name: 'target: sync apps/db (mapping db)',
        ok: false,
        mapping: 'db',
        namespace: 'apps',
        secret: 'db',
        code: 'STORE_UNAVAILABLE',
        message: expect.stringContaining('its folder does not exist'),
        remedy: expect.any(String),
      },
    ]);
    expect(checks.length).toBeGreaterThan(4);
  });

  it('`doctor` reports an unreadable key, and still reads the other keys', async () => {
    await using bench = await openBench(`${HEAD}${DB}  - name: other
    target: { namespace: apps }
    data: { A: { store: local, key: none.json }, B: { store: local, key: also-none } }
`);
    const { code, stdout } = await bench.run('doctor');
    expect(code).toBe(4);
    expect(stdout).toContain('ok    read store local, key db.json');
    expect(stdout).toMatch(/fail {2}read store local, key none\.json\n {6}SOURCE_ABSENT: .*\n {6}\S/);
    expect(stdout).toContain('fail  read store local, key also-none');
    expect(stdout).toContain('3 checks failed.');
  });
});

describe('rbac', () => {
  it('`rbac` prints manifests for kubectl, and they grant access only to the targets', async () => {
    await using bench = await openBench(KUBERNETES);
    const { code, stdout, stderr } = await bench.run('rbac', '--service-account', 'bridge/sb');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const objects = parseAllDocuments(stdout).map((document) => document.toJS() as Record<string, unknown>);
    expect(objects.map(({ kind }) => kind)).toEqual(['Role', 'RoleBinding', 'Role', 'RoleBinding']);
    expect(stdout).toContain('resourceNames:\n      - api-keys');
    expect(stdout).not.toMatch(/\*|delete/);
    expect(objects[1]).toMatchObject({
      subjects: [{ kind: 'ServiceAccount', name: 'sb', namespace: 'bridge' }],
    });
  });

  it('the JSON output of `rbac` is a list of the objects in its YAML output', async () => {
    await using bench = await openBench(KUBERNETES);
    const { json } = await bench.run('rbac', '--output', 'json');
    // kubectl reads YAML 1.1.
    const { stdout } = await bench.run('rbac', '--output', 'yaml', '--service-account', 'on/off');
    expect(stdout).toMatch(/- kind: ServiceAccount\n +name: "off"\n +namespace: "on"\n/);
    expect(json).toMatchObject({ kind: 'List', items: [{ kind: 'Role' }, {}, {}, {}] });
  });

  it('`rbac` reports that a directory cluster needs no Roles', async () => {
    await using bench = await openBench();
    expect(await bench.run('rbac')).toMatchObject({
      code: 0,
      stdout: '',
      stderr: expect.stringMatching(/folder/),
    });
    expect((await bench.run('rbac', '--output', 'json')).json).toMatchObject({ kind: 'List', items: [] });
  });
});

describe('an unreadable configuration', () => {
  it('an unreadable configuration is reported together with the reason', async (context) => {
    context.skip(process.getuid?.() === 0, 'root may read everything');
    await using bench = await openBench();
    await chmod(join(bench.folder, 'secretbridge.yaml'), 0);
    const { code, stdout } = await bench.run('validate');
    expect(code).toBe(3);
    expect(stdout).toContain('permission denied');
  });
});
