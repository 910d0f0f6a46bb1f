import { spawn } from 'node:child_process';
import { once } from 'node:events';

const LOOP = 'while :; do :; done';

/** Starts processes that use the processor without a pause, as other programs of a crowded node do. */
export function startBusyProcesses(count: number): AsyncDisposable {
  const children = Array.from({ length: count }, () => spawn('sh', ['-c', LOOP], { stdio: 'ignore' }));
  const kill = () => {
    for (const child of children) child.kill('SIGKILL');
  };
  // Kill the processes at exit, because they would otherwise run for ever.
  process.once('exit', kill);
  return {
    async [Symbol.asyncDispose]() {
      const ended = children.map((child) => once(child, 'exit'));
      kill();
      process.off('exit', kill);
      await Promise.all(ended);
    },
  };
}
