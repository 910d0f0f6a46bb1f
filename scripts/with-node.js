#!/usr/bin/env node
// node scripts/with-node.js SCRIPT [argument …]
//
// Runs SCRIPT with Node 24 and the project's packages. It needs only npm and Node 20 or newer. This file is plain
// JavaScript without dependencies, because it runs before anything is installed.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cachedFolder, cacheFolder, withLock } from './setup/cache.js';
import { exitOf, explainCache, INSTALL_NODE, npm, pathWith, SetupError } from './setup/npm.js';

const NODE_VERSION = '24.21.0';
const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

async function main(args) {
  if (args.length === 0 || args[0] === '--help') {
    console.log('Usage: node scripts/with-node.js SCRIPT [argument …]\nRuns SCRIPT with Node 24.');
    return args.length === 0 ? 2 : 0;
  }
  const node = await findNode();
  await syncModules(node);
  return run(node, args);
}

async function findNode() {
  if (Number.parseInt(process.versions.node, 10) >= 24) return process.execPath;
  const folder = join(cacheFolder(), `node-${NODE_VERSION}`);
  const name = `node-${process.platform}-${process.arch}`;
  const within = join('node_modules', name, 'bin', 'node');
  const fetchNode = async (draft) => {
    say(`This project needs Node 24 and this is ${process.version}: fetching it into ${folder} (once) …`);
    const missing = `npm has no Node ${NODE_VERSION} for ${process.platform} on ${process.arch}. ${INSTALL_NODE}`;
    // A separate folder prevents npm from reading the repository's .npmrc and packages.
    await npm(
      process.execPath,
      ['install', '--prefix', draft, '--no-save', `${name}@${NODE_VERSION}`],
      draft,
      missing,
    );
    // The binary needs glibc. On a system with musl, the file exists but does not run.
    const trial = await exitOf(spawn(join(draft, within), ['--version'], { stdio: 'ignore' }));
    if (trial.status !== 0)
      throw new SetupError(`Node ${NODE_VERSION} from npm does not run here. ${INSTALL_NODE}`);
  };
  const built = await cachedFolder(folder, fetchNode, waitingFor('Node 24')).catch(explainCache);
  return join(built, within);
}

async function syncModules(node) {
  if (areModulesInStep()) return;
  // A lock prevents two concurrent installations. `npm ci` deletes node_modules, so the lock is in another folder.
  const id = createHash('sha256').update(ROOT).digest('hex').slice(0, 16);
  const lock = join(tmpdir(), `secretbridge-npm-${process.getuid?.() ?? 0}-${id}.lock`);
  const install = async () => {
    if (areModulesInStep()) return;
    say('Installing the packages of package-lock.json into node_modules (under a minute) …');
    const missing = "npm does not find a package of package-lock.json. Check npm's registry setting.";
    await npm(node, ['ci', '--include=dev'], ROOT, missing);
  };
  await withLock(lock, install, waitingFor('the packages'));
}

/**
 * Compares each installed package with the lock file. A saved hash of the lock file would be simpler, but `npm install`
 * by hand does not update such a hash. The next start would install again, and delete node_modules while another
 * program may be running.
 */
function areModulesInStep() {
  const wanted = readPackages(join(ROOT, 'package-lock.json'));
  const installed = readPackages(join(ROOT, 'node_modules', '.package-lock.json'));
  if (wanted === undefined)
    throw new SetupError('package-lock.json is missing. Run: git checkout package-lock.json');
  if (installed === undefined) return false;
  for (const path of Object.keys(installed)) if (wanted[path] === undefined) return false;
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue;
    const found = installed[path];
    // Optional packages for other platforms need not be installed.
    if (found === undefined && (entry.optional || entry.devOptional)) continue;
    if (found === undefined || found.version !== entry.version || found.integrity !== entry.integrity)
      return false;
  }
  return true;
}

function readPackages(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages;
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    if (error instanceof SyntaxError)
      throw new SetupError(`${path} is not valid JSON. Restore or remove it.`);
    throw error;
  }
}

async function run(node, args) {
  const child = spawn(node, args, {
    stdio: 'inherit',
    env: {
      ...process.env,
      PATH: pathWith(dirname(node), join(ROOT, 'node_modules', '.bin')),
      // This process cannot forward SIGKILL. A long-running script therefore polls whether the process with this id
      // still runs.
      SECRETBRIDGE_LAUNCHER_PID: String(process.pid),
    },
  });
  const { status, signal, error } = await exitOf(child);
  if (error) throw error;
  return status ?? 128 + (constants.signals[signal] ?? 0);
}

function waitingFor(what) {
  return () => say(`Another run is fetching ${what}. Waiting for it …`);
}

function say(line) {
  console.error(line);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`secretbridge: ${error.message}`);
  process.exitCode = 1;
}
