import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../services/free-port.ts';
import { until } from '../services/service.ts';
import { danglingReferences } from './image-references.ts';
import { assembleImage, copyContext, ROOT, readDockerfile } from './image-root.ts';

const run = promisify(execFile);

interface Result {
  readonly code: number;
  readonly stdout: string;
}

describe('the files of the image', () => {
  let folder: string;
  let buildOutput: string;
  const program = () => join(folder, 'one/app/bin/secretbridge.js');

  /** Runs the program with an empty environment. */
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
    const [node, ...args] = (await readDockerfile()).healthcheck;
    expect(node).toBe('/usr/local/bin/node');
    const changed = args.map((arg) => arg.replace('127.0.0.1:8080', `127.0.0.1:${port}`));
    const child = spawn(process.execPath, changed, { env: {}, stdio: 'ignore' });
    const [code] = (await once(child, 'close')) as [number];
    return code;
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'secretbridge-image-'));
    buildOutput = await assembleImage(join(folder, 'one'));
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

  it('the program runs with an empty environment', async () => {
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

  it('the service starts, passes the healthcheck and exits cleanly', async () => {
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

  it('the image includes every package that the program imports', async () => {
    const manifest = await readFile(join(ROOT, 'package.json'), 'utf8');
    const { dependencies } = JSON.parse(manifest) as { dependencies: Record<string, string> };
    const script = Object.keys(dependencies).map((name) => `await import(${JSON.stringify(name)});`);
    await run(process.execPath, ['--input-type=module', '-e', script.join('\n')], {
      cwd: join(folder, 'one/app'),
      env: {},
    });
  });

  it('the image contains every file that Node could load through a reference', () => {
    expect(danglingReferences(join(folder, 'one/app'), ROOT)).toEqual([
      // These entries are for browsers or for human readers.
      'node_modules/@azure/msal-common/package.json: ./dist-browser/index-browser.mjs',
      'node_modules/axios/package.json: ./dist/browser/axios.cjs',
      'node_modules/bowser/package.json: ./README.md',
      // This package is optional and only adds color to debug output.
      'node_modules/debug/src/node.js: supports-color',
      // This native code is optional. Without it, the files are the same for every platform.
      'node_modules/msgpackr/dist/node.cjs: msgpackr-extract',
      'node_modules/msgpackr/node-index.js: msgpackr-extract',
    ]);
  });

  it('the image contains no sources, tests, tools or state, and includes a bill of materials', async () => {
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
    const listed = new Set(bom.components.map((component) => component['bom-ref']));
    expect(packages.filter((name) => !listed.has(name) && !/node_modules\/@[^/]+$/.test(name))).toEqual([]);
  });

  it('the files are identical when built from the Docker context with another umask, and have the documented size', async () => {
    await copyContext(join(folder, 'context'));
    const again = await assembleImage(join(folder, 'two'), { umask: '077', root: join(folder, 'context') });
    const digest = (text: string) => /sha256:[0-9a-f]{64}/.exec(text)?.[0];
    expect(digest(buildOutput)).toMatch(/^sha256:/);
    expect(digest(again)).toBe(digest(buildOutput));
    const megabytes = Number(/files, ([\d.]+) MB/.exec(buildOutput)?.[1]);
    const [, stated] =
      /`npm run image:files` adds about (\d+) MB/.exec(
        await readFile(join(ROOT, 'deploy/README.md'), 'utf8'),
      ) ?? [];
    expect(Math.abs(megabytes / Number(stated) - 1)).toBeLessThan(0.1);
    const { stdout } = await run(
      'sh',
      ['-c', 'for each in one two; do tar -C $each --sort=name --numeric-owner -cf - . | sha256sum; done'],
      { cwd: folder },
    );
    const [first, second] = stdout.trim().split('\n');
    expect(first).toBe(second);
  }, 180_000);
});
