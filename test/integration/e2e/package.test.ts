import { execFile } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { lstat, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const REPOSITORY = resolve(import.meta.dirname, '../../..');
const run = promisify(execFile);

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Puts the folder of this run's Node first on PATH, so that the program runs with the same Node. */
const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}` };

async function npm(cwd: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await run('npm', args, { cwd, env, maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

/** The path of a Node that is too old for the program. Undefined if the machine has none. */
async function oldNode(): Promise<string | undefined> {
  for (const path of ['/usr/bin/node', '/usr/local/bin/node']) {
    if (!existsSync(path)) continue;
    const { stdout } = await run(path, ['-p', 'process.versions.node']);
    if (Number(stdout.split('.')[0]) < 24) return path;
  }
  return undefined;
}

const PROGRAMS = ['bin/kubectl-secretbridge.js', 'bin/secretbridge.js'];

describe('the npm package, installed in an empty folder', () => {
  let folder: string;

  async function secretbridge(...args: readonly string[]): Promise<Result> {
    try {
      const { stdout, stderr } = await run('npx', ['--no', '--', 'secretbridge', ...args], {
        cwd: folder,
        env,
      });
      return { code: 0, stdout, stderr };
    } catch (error) {
      const { code, stdout, stderr } = error as Result;
      return { code, stdout, stderr };
    }
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'secretbridge-package-'));
    await npm(REPOSITORY, 'pack', '--pack-destination', folder);
    const [tarball] = (await readdir(folder)).filter((name) => name.endsWith('.tgz'));
    await writeFile(join(folder, 'package.json'), '{"private":true}');
    await npm(
      folder,
      ...['install', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'],
      `./${tarball}`,
    );
    await mkdir(join(folder, 'store'));
    await writeFile(join(folder, 'store', 'db.json'), '{"user":"ann"}');
    await writeFile(
      join(folder, 'secretbridge.yaml'),
      `apiVersion: secretbridge.dev/v1
instance: prod
cluster: { kind: directory, path: ./cluster }
stores: [ { name: local, kind: files, path: ./store } ]
mappings:
  - name: db
    target: { namespace: apps }
    data: { USER: { store: local, key: db.json, property: user } }
`,
    );
  }, 300_000);

  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('the package contains only the program, its pages and three documents', async () => {
    // Ignores npm scripts, because their output would mix with the JSON.
    const output = await npm(REPOSITORY, 'pack', '--dry-run', '--json', '--ignore-scripts');
    const [packed] = JSON.parse(output) as { files: { path: string; mode: number }[] }[];
    const filesOf = (pattern: string) => globSync(pattern, { cwd: REPOSITORY });
    const expected = [
      ...['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json', ...PROGRAMS],
      ...filesOf('src/**/*.ts').map((path) => path.replace(/^src\/(.*)\.ts$/, 'dist/$1.js')),
      ...filesOf('src/cli/*.json').map((path) => path.replace(/^src/, 'dist')),
      ...['app.css', 'app.js', 'chart.js', 'error-texts.js', 'icon.svg', 'index.html', 'licenses.txt'].map(
        (name) => `dist/ui/${name}`,
      ),
      ...filesOf('docs/**/*.*'),
    ];
    const isCopied = (path: string) => path.startsWith('dist/kubernetes-client/');
    const paths = packed?.files.map(({ path }) => path) ?? [];
    expect(paths.filter((path) => !isCopied(path)).toSorted()).toEqual(expected.toSorted());
    expect(paths).toContain('dist/kubernetes-client/LICENSE');
    const executable = packed?.files.filter(({ mode }) => (mode & 0o111) !== 0);
    expect(executable?.map(({ path }) => path).toSorted()).toEqual(PROGRAMS);
  });

  it('the package contains JavaScript and no sources, tests or state', async () => {
    const files = await readdir(join(folder, 'node_modules', 'secretbridge'), { recursive: true });
    expect(files).toEqual(expect.arrayContaining(['bin/secretbridge.js', 'dist/main.js', 'package.json']));
    const packageFiles = files.filter((name) => !name.startsWith('node_modules'));
    expect(
      packageFiles.filter((name) => /\.ts$|^(src|test|scripts|state)\b|\.db$|\.key$/.test(name)),
    ).toEqual([]);
  });

  it('an installation takes at most 200 MB on the disk', async () => {
    let bytes = 0;
    for (const name of await readdir(folder, { recursive: true }))
      bytes += (await lstat(join(folder, name))).blocks * 512;
    expect(bytes / 1024 / 1024).toBeLessThan(200);
  });

  it('the help names pages that are in the package', async () => {
    const { stdout } = await secretbridge('help', 'plan');
    const root = /^ {2}The pages are in (.+)$/m.exec(stdout)?.[1] ?? '';
    const pages = stdout.match(/docs\/[\w/.-]+\.md/g) ?? [];
    expect(pages).not.toEqual([]);
    for (const page of pages) expect(existsSync(join(root, page)), page).toBe(true);
  });

  it('the program prints help, validates, plans, syncs and writes its audit', async () => {
    expect(await secretbridge('--help')).toMatchObject({ code: 0, stdout: expect.stringContaining('sync') });
    expect(await secretbridge('validate')).toMatchObject({
      code: 0,
      stdout: 'The configuration is valid: 1 store, 1 mapping, 1 target.\n',
    });
    expect(await secretbridge('plan')).toMatchObject({
      code: 2,
      stdout: expect.stringContaining('1 to create'),
    });
    expect(await secretbridge('sync')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('1 created'),
    });
    expect(await secretbridge('plan')).toMatchObject({ code: 0 });
    expect((await secretbridge('audit', 'list')).stdout).toContain('create (intent)');
  });

  it('the program loads the clients for Vault and Kubernetes', async () => {
    const config = `apiVersion: secretbridge.dev/v1
instance: prod
cluster: { kind: kubernetes, kubeconfig: ./kubeconfig }
stores:
  - name: vault
    kind: vault
    address: http://127.0.0.1:1
    auth: { method: token, token: { file: ./store/db.json } }
mappings:
  - { name: db, target: { namespace: apps }, data: { A: { store: vault, key: a } } }
`;
    await writeFile(join(folder, 'other.yaml'), config);
    await writeFile(
      join(folder, 'kubeconfig'),
      JSON.stringify({
        clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:1' } }],
        users: [{ name: 'u', user: { token: 't' } }],
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
        'current-context': 'x',
      }),
    );
    const { code, stdout } = await secretbridge('doctor', '--config', 'other.yaml', '--output', 'json');
    const { checks } = JSON.parse(stdout) as { checks: { name: string; code?: string }[] };
    expect(code).toBe(1);
    expect(checks.flatMap(({ code: failed }) => failed ?? []).toSorted()).toEqual([
      'CLUSTER_UNAVAILABLE',
      'STORE_UNAVAILABLE',
    ]);
  });

  it('the program explains in one sentence that the Node version is too old', async ({ skip }) => {
    const node = await oldNode();
    if (node === undefined) return skip('this machine has no older Node');
    const bin = join(folder, 'node_modules', 'secretbridge', 'bin', 'secretbridge.js');
    const failure = await run(node, [bin, 'sync'], { cwd: folder }).catch((error: Result) => error);
    expect(failure).toMatchObject({ code: 64, stdout: '' });
    expect(failure.stderr).toMatch(/^secretbridge needs Node 24 or newer; this is \d+\.\d+\.\d+\.\n/);
    expect(failure.stderr).not.toMatch(/^\s+at /m);
  });
});
