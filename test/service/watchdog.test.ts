import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';

function startBlocked(form: string) {
  return spawn(process.execPath, [join(import.meta.dirname, 'blocked-child.ts'), form]);
}

async function runBlocked(form: string): Promise<readonly string[]> {
  const child = startBlocked(form);
  const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  expect(code, stderr).toBe(0);
  return stderr.split('\n').filter((line) => line !== '');
}

it.concurrent('the watchdog reports each block of the event loop once from another thread, and lets the process exit', async () => {
  const [json, plain] = await Promise.all([runBlocked('json'), runBlocked('text')]);
  const output = {
    level: 'error',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    name: 'event loop',
    durationMs: expect.any(Number),
    message: 'the event loop is blocked',
  };
  expect(json.map((line) => JSON.parse(line) as object)).toEqual([output, output]);
  expect(plain).toHaveLength(2);
  for (const line of plain)
    expect(line).toMatch(/ ERROR the event loop is blocked name="event loop" durationMs=\d+$/);
});

it.concurrent('the watchdog does not end a process whose log pipe is closed', async () => {
  const child = startBlocked('json');
  child.stderr.destroy();
  expect(await once(child, 'exit')).toEqual([0, null]);
});
