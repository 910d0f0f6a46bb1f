import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { step } from '../../scripts/setup/steps.ts';
import { waitUntil } from '../wait-until.ts';

const STEPS = pathToFileURL(`${import.meta.dirname}/../../scripts/setup/steps.ts`).href;

/** A step that starts a child process, prints both process ids and then sleeps. */
const SLEEPER = `
const { spawn } = require('node:child_process');
const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
console.log([process.pid, child.pid].join(' '));
setInterval(() => {}, 1000);`;

const RUNNER = `
import { abortOnSignals, step } from ${JSON.stringify(STEPS)};
const signal = abortOnSignals();
await step({ title: 'sleep', command: [process.execPath, '-e', ${JSON.stringify(SLEEPER)}], loud: true }, signal);
process.exit(signal.aborted ? 130 : 0);`;

async function startRunner(): Promise<{ readonly runner: ChildProcess; readonly pids: readonly number[] }> {
  const runner = spawn(process.execPath, ['--input-type=module', '-e', RUNNER], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  if (runner.stdout === null) throw new Error('the runner has no output');
  const [line] = (await once(createInterface({ input: runner.stdout }), 'line')) as [string];
  return { runner, pids: line.split(' ').map(Number) };
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('a step of a test run', () => {
  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'leaves no process behind if only the runner receives %s',
    async (signal) => {
      const { runner, pids } = await startRunner();
      expect(pids.filter(isRunning)).toHaveLength(2);
      runner.kill(signal);
      const [code] = (await once(runner, 'exit')) as [number];
      expect(code).toBe(130);
      await waitUntil(() => expect(pids.filter(isRunning)).toEqual([]));
    },
  );

  it('returns false for a command that fails, and true for a command that succeeds', async () => {
    const run = (code: number) =>
      step({ title: `exit ${code}`, command: [process.execPath, '-e', `process.exit(${code})`] });
    expect(await run(1)).toBe(false);
    expect(await run(0)).toBe(true);
  });
});
