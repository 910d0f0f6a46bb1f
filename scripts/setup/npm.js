// This file is plain JavaScript without dependencies, because `with-node.js` uses it before any package is installed.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join } from 'node:path';
import { cacheFolder } from './cache.js';

/** An error whose message describes the problem and its solution. */
export class SetupError extends Error {}

export const INSTALL_NODE = 'Install Node 24 or newer and put it first on PATH.';

const QUIET = ['--loglevel=error', '--no-audit', '--no-fund', '--ignore-scripts'];
const OFFLINE = [
  ...['ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT', 'ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'ENETUNREACH'],
  ...['ERR_SOCKET_TIMEOUT', 'ENOTCACHED'],
];
const UNWRITABLE = ['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'ENOTDIR', 'ENOENT'];

/** Runs npm without printing its output. If npm fails, writes the output to a file. */
export async function npm(node, args, cwd, whenNotFound) {
  // Under `npm run`, use the npm that started this script, because npm may be missing from PATH.
  const cli = process.env.npm_execpath ?? '';
  const [command, first] = basename(cli) === 'npm-cli.js' ? [node, [cli]] : ['npm', []];
  const child = spawn(command, [...first, ...args, ...QUIET, '--fetch-retry-mintimeout=2000'], {
    cwd,
    env: { ...process.env, PATH: pathWith(dirname(node)) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
  }
  const { status, signal, error } = await exitOf(child);
  if (error?.code === 'ENOENT') throw new SetupError('npm was not found. Install npm, or put it on PATH.');
  if (error) throw error;
  if (signal) throw new SetupError(`npm was stopped by ${signal}. Run the same command again.`);
  if (status !== 0) throw explainNpm(output, whenNotFound);
}

function explainNpm(output, whenNotFound) {
  const code = /npm (?:error|ERR!) code (\S+)/.exec(output)?.[1] ?? 'no code';
  const log = join(tmpdir(), `secretbridge-npm-${process.pid}.log`);
  writeFileSync(log, output);
  return new SetupError(`${remedyFor(code, whenNotFound)} The output of npm is in ${log}.`);
}

function remedyFor(code, whenNotFound) {
  if (OFFLINE.includes(code)) {
    return `npm could not reach its registry (${code}). Check the network and npm's proxy settings, then try again.`;
  }
  if (['E404', 'ETARGET', 'EBADPLATFORM'].includes(code)) return whenNotFound;
  if (code === 'EUSAGE') {
    return 'package.json and package-lock.json do not match. Run npm install, then try again.';
  }
  if (UNWRITABLE.includes(code)) {
    return `npm could not write its files (${code}). Check owner and free space of this folder and of ${cacheFolder()}.`;
  }
  return `npm failed (${code}).`;
}

/** Describes why a folder in the cache could not be created, and what the user can do. */
export function explainCache(error) {
  if (!UNWRITABLE.includes(error.code)) throw error;
  throw new SetupError(
    `Cannot write to ${cacheFolder()} (${error.code}). ` +
      `Set XDG_CACHE_HOME to a folder that you can write to. Or: ${INSTALL_NODE}`,
  );
}

/**
 * Waits for the end of a child process. Until then, forwards signals to the child, so that the child ends with this
 * process.
 */
export async function exitOf(child) {
  const forward = (signal) => {
    // Do not forward Ctrl-C, because the terminal also sends it to the child. A second SIGINT would make the child stop
    // without cleaning up.
    if (signal === 'SIGINT' && process.stdin.isTTY) return;
    child.kill(signal);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, forward);
  // When npm is stopped, npm ends only the shell that started this process. Therefore poll whether the parent process
  // has changed.
  const parent = process.ppid;
  const orphaned = () => process.ppid === parent || forward('SIGTERM');
  const watch = process.env.npm_lifecycle_event ? setInterval(orphaned, 1000) : undefined;
  const exit = await new Promise((resolve) => {
    child.once('error', (error) => resolve({ error }));
    child.once('close', (status, signal) => resolve({ status, signal }));
  });
  for (const signal of signals) process.off(signal, forward);
  clearInterval(watch);
  return exit;
}

export function pathWith(...folders) {
  return [...folders, process.env.PATH ?? ''].join(delimiter);
}
