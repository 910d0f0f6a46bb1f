import { execFile, spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import { blocksOf, ROOT } from '../docs/markdown.ts';
import { thisMachine } from '../integration/services/requirements.ts';

const FOLDER = join(ROOT, 'examples/python-service');
const run = promisify(execFile);

const PYTHON_3_9 = ['-c', 'import sys; sys.exit(sys.version_info < (3, 9))'];
const hasPython = (await thisMachine.run('python3', PYTHON_3_9)).status === 0;

/** Updates a mounted volume like the kubelet: writes a new folder and atomically replaces the link to it. */
async function mount(path: string, name: string, value: string): Promise<void> {
  await mkdir(join(path, name));
  await writeFile(join(path, name, 'signing-key'), value);
  await symlink(name, join(path, '..data_tmp'));
  await rename(join(path, '..data_tmp'), join(path, '..data'));
}

describe.skipIf(!hasPython)('the Python service of the examples (needs Python 3.9 as `python3`)', () => {
  it('the example passes its own tests with the command in its README', async () => {
    const text = await readFile(join(FOLDER, 'README.md'), 'utf8');
    const command = blocksOf({ path: 'examples/python-service/README.md', text }).find(
      ({ language }) => language === 'sh',
    )?.text;
    const env = { PATH: process.env.PATH, PYTHONDONTWRITEBYTECODE: '1' };
    const { stderr } = await run('sh', ['-eu', '-c', command ?? 'false'], { cwd: FOLDER, env });
    expect(stderr).toMatch(/Ran \d{2} tests[\s\S]*\nOK\n$/);
  });

  it('the example reloads changed files at runtime, and never prints their content', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'secretbridge-mount-'));
    await using _ = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
    await mount(folder, '..1', 'first-key');
    await symlink('..data/signing-key', join(folder, 'signing-key'));
    const child = spawn('python3', ['-B', '-m', 'shop.service'], {
      cwd: FOLDER,
      env: {
        PATH: process.env.PATH,
        HOST: '127.0.0.1',
        PORT: '0',
        SECRET_FROM: 'files',
        SECRET_DIRECTORY: folder,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    const ended = once(child, 'close') as Promise<[number | null]>;
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    const address = `http://127.0.0.1:${/\d+$/.exec(line)?.[0]}`;
    const sendRequest = async (path: string, options = {}) =>
      (await (await request(`${address}${path}`, options)).body.json()) as Record<string, unknown>;
    const signature = async () => (await sendRequest('/sign', { method: 'POST', body: 'hello' })).signature;
    const expected = (key: string) => createHmac('sha256', key).update('hello').digest('hex');

    expect(await signature()).toBe(expected('first-key'));
    expect(await sendRequest('/revision')).toEqual({ revision: '..1' });
    await mount(folder, '..2', 'second-key');
    await rm(join(folder, '..1'), { recursive: true });
    expect(await signature()).toBe(expected('second-key'));
    expect(await sendRequest('/revision')).toEqual({ revision: '..2' });

    child.kill('SIGTERM');
    expect((await ended)[0]).toBe(0);
    expect(output).not.toContain('-key');
  });
});
