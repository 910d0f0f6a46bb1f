// This file is plain JavaScript without dependencies, because `with-node.js` runs it under Node 20 before any package
// is installed.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

/** Returns the folder outside the repository for everything that is downloaded or built once. */
export function cacheFolder() {
  const configured = process.env.XDG_CACHE_HOME;
  // The XDG specification says to ignore a relative path, which would name a different folder in each working
  // directory.
  const base = configured && isAbsolute(configured) ? configured : join(homedir(), '.cache');
  return join(base, 'secretbridge');
}

/**
 * Returns the folder `path`. If the folder does not exist, first runs `build` to create it. The folder appears only
 * when it is complete. Two processes never build the same folder at the same time.
 */
export async function cachedFolder(path, build, onWait) {
  if (existsSync(path)) return path;
  mkdirSync(dirname(path), { recursive: true });
  return withLock(
    `${path}.lock`,
    async () => {
      if (existsSync(path)) return path;
      removeLeftovers(path);
      const draft = `${path}.new-${process.pid}`;
      mkdirSync(draft);
      try {
        await build(draft);
        renameSync(draft, path);
      } finally {
        rmSync(draft, { recursive: true, force: true });
      }
      return path;
    },
    onWait,
  );
}

/** Runs `action` while this process holds the lock. Only one process of this machine can hold the lock at a time. */
export async function withLock(path, action, onWait) {
  // The lock is a symbolic link whose target identifies the holder. Creating the link is one atomic step, so the holder
  // is always known.
  const mine = holderOf(process.pid);
  let hasReported = false;
  while (!tryLink(mine, path)) {
    removeIfStale(path);
    if (!hasReported) onWait?.();
    hasReported = true;
    await setTimeout(100);
  }
  try {
    return await action();
  } finally {
    rmSync(path, { force: true });
  }
}

function tryLink(target, path) {
  try {
    symlinkSync(target, path);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    return false;
  }
}

function removeIfStale(path) {
  const holder = readLink(path);
  if (holder === undefined || isHolderAlive(holder)) return;
  // Remove the stale lock by renaming it. If two waiting processes try to rename the lock, only one of them succeeds.
  // Another process may already have replaced the stale lock by its own new lock. In this case, put the renamed lock
  // back.
  const aside = `${path}.stale-${process.pid}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    return;
  }
  const taken = readLink(aside);
  rmSync(aside, { force: true });
  if (taken !== undefined && taken !== holder) tryLink(taken, path);
}

function readLink(path) {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    return undefined;
  }
}

// The operating system reuses process ids. On Linux, the identity of a holder therefore includes the start time of the
// process.
function holderOf(pid) {
  return `${pid}-${startTimeOf(pid)}`;
}

function isHolderAlive(holder) {
  const pid = Number.parseInt(holder, 10);
  return isAlive(pid) && holderOf(pid) === holder;
}

function startTimeOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch (error) {
    // The process does not exist, or the system has no /proc.
    if (error.code !== 'ENOENT' && error.code !== 'ESRCH') throw error;
    return 'unknown';
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    if (error.code === 'EPERM') return true;
    if (error.code !== 'ESRCH') throw error;
    return false;
  }
}

function removeLeftovers(path) {
  const prefix = `${basename(path)}.new-`;
  for (const name of readdirSync(dirname(path))) {
    if (!name.startsWith(prefix)) continue;
    if (isAlive(Number(name.slice(prefix.length)))) continue;
    rmSync(join(dirname(path), name), { recursive: true, force: true });
  }
}
