import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';
import { DB, HEAD, openBench } from '../cli/harness.ts';

const ROOT = resolve(import.meta.dirname, '../..');

// By default, Node opens its inspector after SIGUSR1. The inspector reads the whole memory of the process.
it.each(['src/main.ts', 'bin/secretbridge.js'])(
  'a signal does not open the inspector of the service (%s)',
  async (program) => {
    await using bench = await openBench(`${HEAD}${DB}http: { listen: '127.0.0.1:0' }\n`);
    const child = spawn(process.execPath, [join(ROOT, program), 'serve'], {
      cwd: bench.folder,
      env: { PATH: process.env.PATH },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const exited = once(child, 'exit');
    let output = '';
    try {
      for await (const line of createInterface(child.stderr)) {
        output += `${line}\n`;
        if (!line.includes('the service is running')) continue;
        child.kill('SIGUSR1');
        child.kill('SIGUSR1');
        // A later signal is handled after SIGUSR1, so its log line shows that SIGUSR1 was handled.
        child.kill('SIGTERM');
      }
    } finally {
      child.kill('SIGKILL');
    }
    expect(await exited).toEqual([0, null]);
    expect(output).toContain('the service is shutting down');
    expect(output).not.toMatch(/debugger|inspector|ws:\/\//i);
  },
);

it('the image starts Node without the signal from the first moment on', async () => {
  const text = await readFile(join(ROOT, 'Dockerfile'), 'utf8');
  for (const [, command] of text.matchAll(/^ENTRYPOINT (.*)$| {2}CMD (\[.*)$/gm))
    if (command !== undefined) expect(command).toContain('"--disable-sigusr1"');
});
