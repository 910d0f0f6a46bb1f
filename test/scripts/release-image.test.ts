import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { release } from '../../scripts/release/release.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const SCRIPT = join(ROOT, 'scripts/release-image.ts');
const execute = promisify(execFile);

describe('npm run release:image', () => {
  let folder: string;
  const source = () => join(folder, 'source');
  const output = () => join(folder, 'release');
  const git = (...args: readonly string[]) => execute('git', ['-C', source(), ...args]);
  const options = () => ({ source: source(), output: output(), architectures: ['amd64'] as const });

  /** Adds a program to PATH. */
  const program = (name: string, script: string) =>
    writeFile(join(folder, 'bin', name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const environment = () => ({ ...process.env, PATH: `${join(folder, 'bin')}:${process.env.PATH}` });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'secretbridge-release-script-'));
    for (const name of ['bin', 'source']) await mkdir(join(folder, name));
    await writeFile(join(source(), 'package.json'), '{"version":"0.1.0"}');
    await writeFile(
      join(source(), 'Dockerfile'),
      'ARG NODE_IMAGE=node:24.21.0\nARG BASE_IMAGE=debian:bookworm\n',
    );
    await git('init', '--quiet');
    await git('add', '--all');
    const author = ['-c', 'user.name=test', '-c', 'user.email=test@example.com'];
    await git(...author, 'commit', '--quiet', '--message', 'Release');
    await program('buildah', 'echo buildah version 1');
    await program('helm', 'echo v4.0.0');
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('the command of the page has only options that exist', async () => {
    const { stdout: help } = await execute(process.execPath, [SCRIPT, '--help']);
    const page = await readFile(join(ROOT, 'docs/how-to/publish.md'), 'utf8');
    const options = [...page.matchAll(/npm run release:image --\s+(--[^`\n]*)/g)].flatMap(([, words = '']) =>
      words.split(' ').filter((word) => word.startsWith('--')),
    );
    expect(options).toContain('--repository');
    for (const option of options) expect(help).toContain(option);
    await expect(execute(process.execPath, [SCRIPT, '--unknown'])).rejects.toMatchObject({ code: 64 });
  });

  it('a release needs an empty folder, and a signed release needs a clean checkout', async () => {
    const full = { ...options(), output: source() };
    await expect(release(full, () => {})).rejects.toThrow('is not empty');
    await writeFile(join(source(), 'changed'), '');
    const signed = { ...options(), key: join(folder, 'release.key') };
    await expect(release(signed, () => {})).rejects.toThrow('uncommitted changes');
    await rm(join(source(), 'changed'));
  });

  it('an image without a digest is refused, and no file is left', async () => {
    const args = ['--output', output(), '--base-image', 'debian:bookworm', '--node-image', 'node:24.21.0'];
    const failure = execute(process.execPath, [SCRIPT, ...args], { env: environment() });
    await expect(failure).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('has no digest'),
    });
    expect(await readdir(folder)).toEqual(['bin', 'source']);
  });

  it('SIGTERM ends the running command, and no file is left', async () => {
    const started = join(folder, 'bin', 'started');
    await program('skopeo', `touch ${started}; exec tail -f /dev/null`);
    const args = [SCRIPT, '--output', output()];
    const child = spawn(process.execPath, args, {
      env: environment(),
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const ended = once(child, 'close');
    const errors = child.stderr === null ? '' : text(child.stderr);
    await vi.waitUntil(() => existsSync(started), { timeout: 30_000 });
    child.kill('SIGTERM');
    expect(await ended).toEqual([1, null]);
    expect(await errors).toContain('The release was stopped');
    expect(await readdir(folder)).toEqual(['bin', 'source']);
  });
});
