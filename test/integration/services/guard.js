// node guard.js FOLDER
//
// Starts processes for a test run, and lives slightly longer than the run. When the standard input ends, the guard ends
// every process and removes FOLDER. The input ends when the run closes it or dies (Ctrl-C, a crash, kill -9). After
// kill -9, the run cannot clean up itself.
//
// Input, one JSON object a line: {"id","command","args","env","cwd","log"}. Output, one JSON object a line:
// {"id","pid"}, then {"id","status","signal"}; or {"id","error"} if the process could not start.
//
// This file is plain JavaScript without dependencies, so that it starts fast.
import { spawn } from 'node:child_process';
import { closeSync, openSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';

const GRACE_MS = 2000;
const folder = process.argv[2];
const running = [];
let ending = false;

function start({ id, command, args, env, cwd, log }) {
  const output = openSync(log, 'a');
  // Each process has a separate process group, so its children end with it.
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
  // Ends the processes in reverse order of start, because later processes may depend on earlier ones.
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
    // The process has already ended.
    if (error.code !== 'ESRCH') throw error;
  }
}

function tell(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

// The run may already have ended. Then no process reads the output.
process.stdout.on('error', () => {});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, end);
createInterface({ input: process.stdin })
  .on('line', (line) => start(JSON.parse(line)))
  .on('close', end);
