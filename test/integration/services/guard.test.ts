import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type Guard, openTemporaryGuard } from './guarded.ts';
import { until } from './service.ts';

const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));

async function firstLine<Message>(child: ChildProcess): Promise<Message> {
  let text = '';
  for await (const chunk of child.stdout ?? []) {
    text += chunk;
    const end = text.indexOf('\n');
    if (end !== -1) return JSON.parse(text.slice(0, end)) as Message;
  }
  throw new Error('the run ended before it printed a line');
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => socket.destroy() && resolve(true));
    socket.once('error', () => resolve(false));
  });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
    throw error;
  }
}

async function startStubborn(guard: Guard): Promise<number[]> {
  const { output } = guard.start({
    name: 'stubborn',
    command: process.execPath,
    args: [fixture('stubborn.js')],
    env: {},
  });
  let pids: number[] = [];
  await until('The start of stubborn.js', 10_000, async () => {
    const text = existsSync(`${guard.folder}/stubborn.log`) ? await output() : '';
    if (text.endsWith('\n')) pids = JSON.parse(text);
    return pids.length === 2;
  });
  return pids;
}

describe('a server of a run', () => {
  it.each(['SIGKILL', 'SIGTERM', 'SIGINT'] as const)(
    'stops a server and removes its folder after the run receives %s',
    async (signal) => {
      const run = spawn(process.execPath, [fixture('run.ts')], { stdio: ['ignore', 'pipe', 'inherit'] });
      const { address, caFile } = await firstLine<{ address: string; caFile: string }>(run);
      const port = Number(new URL(address).port);
      expect(await isListening(port)).toBe(true);
      expect(existsSync(caFile)).toBe(true);

      run.kill(signal);
      await until('The end of the server', 10_000, async () => !(await isListening(port)));
      await until('The removal of its folder', 10_000, async () => !existsSync(dirname(caFile)));
    },
  );
});

describe('a guard', () => {
  it('kills a process that ignores SIGTERM, and its children', async () => {
    const guard = await openTemporaryGuard('test');
    const pids = await startStubborn(guard);
    expect(pids.map(isAlive)).toEqual([true, true]);
    await guard.close();
    await until('The end of both', 5_000, async () => !pids.some(isAlive));
    expect(existsSync(guard.folder)).toBe(false);
  });

  it('reports a process that exits unexpectedly', async () => {
    const guard = await openTemporaryGuard('test');
    const { ended } = guard.start({
      name: 'short',
      command: process.execPath,
      args: ['-e', 'process.exit(3)'],
      env: {},
    });
    expect(await ended).toMatchObject({ status: 3, signal: null });
    expect(await guard.unexpectedExit).toBe('short ended with status 3.');
    await guard.close();
  });

  it('reports the exit of a server, and ignores the exit of a preparation process', async () => {
    const guard = await openTemporaryGuard('test');
    const start = (name: string, ends: boolean) =>
      guard.start({ name, command: process.execPath, args: ['-e', ''], env: {}, ends });
    await start('preparation', true).ended;
    await start('server', false).ended;
    expect(await guard.unexpectedExit).toBe('server ended with status 0.');
    await guard.close();
  });

  it('reports a process that cannot start', async () => {
    const guard = await openTemporaryGuard('test');
    const started = guard.start({ name: 'nothing', command: '/no/such/program', args: [], env: {} });
    expect(await started.ended).toMatchObject({ error: 'ENOENT' });
    expect(started.end).toBe('nothing could not run: ENOENT.');
    await guard.close();
  });

  it('a guard can be closed twice', async () => {
    const guard = await openTemporaryGuard('test');
    await guard.close();
    await guard.close();
    expect(existsSync(guard.folder)).toBe(false);
  });
});
