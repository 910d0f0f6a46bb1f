// node guard.js FOLDER
//
// Starts processes for a run of the tests and outlives it by a moment: when its standard input ends, because the run
// closed it or because the run is gone (Ctrl-C, a crash, kill -9), it ends every process and removes FOLDER. The run
// itself could not: nothing of it is left after kill -9.
//
// In, one JSON a line:  {"id","command","args","env","cwd","log"} Out, one JSON a line: {"id","pid"} then
// {"id","status","signal"}, or {"id","error"} if it could not start
//
// Plain JavaScript, so that it starts fast and needs nothing.
import { spawn } from 'node:child_process';
import { closeSync, openSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';

const GRACE_MS = 2000;
const folder = process.argv[2];
const running = [];
let ending = false;

function start({ id, command, args, env, cwd, log }) {
  const output = openSync(log, 'a');
  // A process group of its own, to end also what it starts.
  const child = spawn(command, args, { env, cwd, detached: true, stdio: ['ignore', output, output] });
  closeSync(output);
  const ended = new Promise((resolve) => {
    child.once('error', (error) => {
      tell({ id, error: error.code ?? 'unknown' });
      resolve();
    });
    child.once('exit', (status, signal) => {
      tell({ id, status, signal });
      resolve();
    });
  });
  if (child.pid === undefined) return;
  tell({ id, pid: child.pid });
  const entry = { pid: child.pid, ended };
  running.push(entry);
  void ended.then(() => running.splice(running.indexOf(entry), 1));
}

async function end() {
  if (ending) return;
  ending = true;
  // The last one started first: it may depend on the others.
  for (const { pid, ended } of [...running].reverse()) {
    signalGroup(pid, 'SIGTERM');
    const force = setTimeout(() => signalGroup(pid, 'SIGKILL'), GRACE_MS);
    await ended;
    clearTimeout(force);
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  process.exit(0);
}

function signalGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // It ended by itself in the meantime.
    if (error.code !== 'ESRCH') throw error;
  }
}

function tell(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

// Nobody listens any more once the run is gone.
process.stdout.on('error', () => {});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, end);
createInterface({ input: process.stdin })
  .on('line', (line) => start(JSON.parse(line)))
  .on('close', end);
