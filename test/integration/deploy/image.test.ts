import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../services/free-port.ts';
import { until } from '../services/service.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
const run = promisify(execFile);

interface Result {
  readonly code: number;
  readonly stdout: string;
}

describe('the files of the image', () => {
  let folder: string;
  let said: string;
  const program = () => join(folder, 'one/app/bin/secretbridge.js');

  const assemble = async (name: string) => {
    const args = [join(ROOT, 'scripts/image-files.ts'), join(folder, name)];
    // From another folder and with another mask of modes: neither may matter.
    const command = `umask ${name === 'one' ? '022' : '077'}; exec "$@"`;
    const { stdout } = await run('sh', ['-c', command, 'sh', process.execPath, ...args], { cwd: tmpdir() });
    return stdout;
  };

  /** With nothing of this machine's environment. */
  async function secretbridge(...args: readonly string[]): Promise<Result> {
    try {
      const { stdout } = await run(process.execPath, [program(), ...args], {
        cwd: join(folder, 'work'),
        env: {},
      });
      return { code: 0, stdout };
    } catch (error) {
      const { code, stdout } = error as Result;
      return { code, stdout };
    }
  }

  async function healthcheck(port: number): Promise<number> {
    const text = await readFile(join(ROOT, 'Dockerfile'), 'utf8');
    const [, command = '[]'] = /HEALTHCHECK [^[]*CMD (\[.*\])/.exec(text) ?? [];
    const [node, ...args] = JSON.parse(command) as string[];
    expect(node).toBe('/usr/local/bin/node');
    const changed = args.map((arg) => arg.replace('127.0.0.1:8080', `127.0.0.1:${port}`));
    const child = spawn(process.execPath, changed, { env: {}, stdio: 'ignore' });
    const [code] = (await once(child, 'close')) as [number];
    return code;
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'secretbridge-image-'));
    said = await assemble('one');
    await mkdir(join(folder, 'work/store'), { recursive: true });
    await writeFile(join(folder, 'work/store/db.json'), '{"user":"ann"}');
  }, 180_000);

  afterAll(() => rm(folder, { recursive: true, force: true }));

  const configure = (port: number) =>
    writeFile(
      join(folder, 'work/secretbridge.yaml'),
      `apiVersion: secretbridge.dev/v1
instance: prod
cluster: { kind: directory, path: ./cluster }
http: { listen: '127.0.0.1:${port}' }
stores: [ { name: local, kind: files, path: ./store } ]
mappings:
  - { name: db, target: { namespace: apps }, data: { USER: { store: local, key: db.json, property: user } } }
`,
    );

  it('run in a clean environment', async () => {
    const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    expect(await secretbridge('--version')).toEqual({ code: 0, stdout: expect.stringContaining(version) });
    await configure(1);
    expect(await secretbridge('validate')).toEqual({
      code: 0,
      stdout: 'The configuration is valid: 1 store, 1 mapping, 1 target.\n',
    });
    expect(await secretbridge('sync')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('1 created'),
    });
  });

  it('serve, are found well by the healthcheck, and end in good order', async () => {
    const port = await freePort();
    await configure(port);
    expect(await healthcheck(port)).toBe(1);
    const child = spawn(process.execPath, [program(), 'serve'], {
      cwd: join(folder, 'work'),
      env: {},
      stdio: 'ignore',
    });
    const ended = once(child, 'close');
    try {
      await until('The healthcheck', 30_000, async () => (await healthcheck(port)) === 0);
      const page = await fetch(`http://127.0.0.1:${port}/`);
      expect(await page.text()).toContain('<html');
    } finally {
      child.kill('SIGTERM');
    }
    expect(await ended).toEqual([0, null]);
  });

  it('load the clients of every vendor', async () => {
    const imports = ['vault', 'aws-secrets-manager', 'azure-key-vault'].map(
      (name) => `dist/providers/${name}/index.js`,
    );
    for (const path of [...imports, 'dist/queue/bullmq.js', 'dist/cluster/kubernetes.js'])
      await run(
        process.execPath,
        ['--input-type=module', '-e', `await import(${JSON.stringify(join(folder, 'one/app', path))})`],
        { env: {} },
      );
    const manifest = await readFile(join(ROOT, 'package.json'), 'utf8');
    const { dependencies } = JSON.parse(manifest) as { dependencies: Record<string, string> };
    for (const name of Object.keys(dependencies)) {
      const script = `await import(${JSON.stringify(name)})`;
      await run(process.execPath, ['--input-type=module', '-e', script], {
        cwd: join(folder, 'one/app'),
        env: {},
      });
    }
  });

  it('hold no source, test, tool or state, and a bill of what is in them', async () => {
    const app = join(folder, 'one/app');
    const top = ['LICENSE', 'bin', 'dist', 'node_modules', 'package.json', 'sbom.cdx.json'];
    expect((await readdir(app)).toSorted()).toEqual(top);
    const files = await readdir(app, { recursive: true });
    expect(files.filter((name) => /\.ts$|\.map$|\.db$|\.key$/.test(name))).toEqual([]);
    const packages = files.filter((name) => /^node_modules\/(@[^/]+\/)?[^/@]+$/.test(name));
    expect(packages).not.toContain('node_modules/typescript');
    expect(packages).not.toContain('node_modules/vitest');
    const bom = JSON.parse(await readFile(join(app, 'sbom.cdx.json'), 'utf8')) as {
      components: { 'bom-ref': string }[];
    };
    const listed = new Set(bom.components.map((one) => one['bom-ref']));
    expect(packages.filter((name) => !listed.has(name) && !/node_modules\/@[^/]+$/.test(name))).toEqual([]);
  });

  it('are the same each time, and not too many', async () => {
    const again = await assemble('two');
    const digest = (text: string) => /sha256:[0-9a-f]{64}/.exec(text)?.[0];
    expect(digest(said)).toMatch(/^sha256:/);
    expect(digest(again)).toBe(digest(said));
    expect(Number(/files, ([\d.]+) MB/.exec(said)?.[1])).toBeLessThan(100);
    const { stdout } = await run(
      'sh',
      ['-c', 'for each in one two; do tar -C $each --sort=name --numeric-owner -cf - . | sha256sum; done'],
      { cwd: folder },
    );
    const [one, two] = stdout.trim().split('\n');
    expect(one).toBe(two);
  }, 180_000);
});
