import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findLocalStackPython } from './localstack-python.ts';
import type { Machine } from './requirements.ts';

/** A fake machine with these Python commands and their versions. */
function machine(pythons: Readonly<Record<string, string>>): Machine {
  return {
    isRoot: false,
    run: async (command) => {
      const version = pythons[command];
      return { status: version === undefined ? undefined : 0, output: `${version ?? ''}\n` };
    },
  };
}

const NOWHERE = '/nowhere';
const find = (pythons: Record<string, string>, folder = NOWHERE) =>
  findLocalStackPython(() => {}, machine(pythons), folder);

describe('findLocalStackPython', () => {
  it('prefers a Python version that can run all of LocalStack', async () => {
    expect(await find({ python3: '3.12' })).toEqual({ command: 'python3', version: '3.12' });
    expect(await find({ python3: '3.14', 'python3.12': '3.12' })).toEqual({
      command: 'python3.12',
      version: '3.12',
    });
  });

  it('searches the versions that pyenv installed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'secretbridge-pyenv-'));
    for (const version of ['3.11.7', '3.12.1', '3.9.18']) await mkdir(join(folder, version));
    const command = join(folder, '3.12.1', 'bin', 'python3');
    expect(await find({ python3: '3.11', [command]: '3.12' }, folder)).toEqual({ command, version: '3.12' });
    await rm(folder, { recursive: true });
  });

  it('returns an older Python version if no installed version can run all of LocalStack', async () => {
    expect(await find({ python3: '3.11' })).toEqual({ command: 'python3', version: '3.11' });
  });
});
