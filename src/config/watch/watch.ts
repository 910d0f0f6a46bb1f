import { watch } from 'node:fs';
import { codeOf } from '../../core/system-errors.ts';
import { systemWake, type Wake } from '../../core/wake.ts';
import { type ConfigFs, realFs } from '../files/files.ts';
import type { Loaded } from '../judge.ts';
import { type Rounds, startLoop } from './loop.ts';
import { recordingFs, type Snapshot } from './snapshot.ts';

/**
 * Tells of changes in a folder, by the name of the entry where it is known; `undefined`: this folder cannot be
 * watched, or not now.
 */
export type WatchFolder = (
  path: string,
  onEvent: (name: string | undefined) => void,
) => Disposable | undefined;

export interface WatchOptions {
  /** Loads the configuration through this file system, so that it is known what it was made from. */
  readonly load: (readFs: ConfigFs) => Promise<Loaded>;
  /** Told of each new content, valid or not, never twice in a row of the same; awaited, so one at a time. */
  readonly onChange: (loaded: Loaded) => void | Promise<void>;
  /** Told after each look at the files, with what went wrong in it: an error of ours, or of `onChange`. */
  readonly onProgress?: (error?: unknown) => void;
  readonly readFs?: ConfigFs;
  readonly watchFolder?: WatchFolder;
  readonly wake?: Wake;
  /** Longest time until a change is seen where the system tells of none, as on network file systems. */
  readonly everyMs?: number;
  /** For how long the content must stay the same before it is believed to be whole. */
  readonly settleMs?: number;
  /** Milliseconds, of a clock that nobody sets. */
  readonly now?: () => number;
}

export interface ConfigWatch extends AsyncDisposable {
  /** As it was when the watch began; `onChange` is not told of it. */
  readonly initial: Loaded;
  /**
   * Looks now and takes what is there (SIGHUP); `onChange` is told, and awaited, if it is new. Never rejects: what goes
   * wrong goes to `onProgress`, and what was loaded before is given.
   */
  reload(): Promise<Loaded>;
}

interface Taken {
  readonly loaded: Loaded;
  readonly snapshot: Snapshot;
  /** When the last of the files was read. */
  readonly readAt: number;
}

/** Whoever writes a file empties it first: what is read right then would only be read again. */
const GATHER_MS = 50;

/** Content that is another one at each look, this often, is taken as it is. */
const MAX_ROUNDS = 50;

/**
 * Watches everything that the configuration is made from, files that are not there yet included. Events of the file
 * system only make it faster: what was read is compared at each look, by content.
 */
export async function watchConfig(options: WatchOptions): Promise<ConfigWatch> {
  const {
    onChange,
    onProgress = () => undefined,
    readFs = realFs,
    watchFolder = watchRealFolder,
    wake = systemWake,
    everyMs = 5_000,
    settleMs = 300,
    now = () => performance.now(),
  } = options;
  const watchers = new Map<string, Disposable>();
  let current = await take();
  const { loaded: initial } = current;

  async function take(): Promise<Taken> {
    let readAt = now();
    const recording = recordingFs(readFs, () => {
      readAt = now();
    });
    const loaded = await options.load(recording.fs);
    return { loaded, snapshot: recording.snapshot(), readAt };
  }

  async function look(rounds: Rounds, roused: boolean): Promise<void> {
    // Anew each time: a folder that was replaced is another one, of which the old watcher hears nothing.
    if (roused) arm();
    else if (await current.snapshot.isCurrent(readFs)) return;
    for (let round = 1; ; round++) {
      await rounds.pause(Math.min(GATHER_MS, settleMs));
      if (rounds.ending || (await current.snapshot.isCurrent(readFs))) return;
      const next = await take();
      if (next.snapshot.digest === current.snapshot.digest) return;
      // A thousand mappings take a while to be understood, and that is part of it.
      await rounds.pause(Math.max(0, settleMs - (now() - next.readAt)));
      if (rounds.ending) return;
      if (round >= MAX_ROUNDS || (await next.snapshot.isCurrent(readFs))) return accept(next);
      onProgress();
    }
  }

  async function accept(next: Taken): Promise<void> {
    if (next.snapshot.digest === current.snapshot.digest) return;
    current = next;
    arm();
    await onChange(next.loaded);
  }

  function arm(): void {
    const before = [...watchers.values()];
    watchers.clear();
    for (const [folder, matters] of current.snapshot.folders) {
      const watcher = watchFolder(folder, (name) => {
        if (name === undefined || matters(name)) loop.rouse();
      });
      if (watcher !== undefined) watchers.set(folder, watcher);
    }
    for (const watcher of before) watcher[Symbol.dispose]();
  }

  const loop = startLoop({ look, everyMs, wake, onProgress });
  arm();
  return {
    initial,
    async reload() {
      await loop.between(async () => accept(await take()));
      return current.loaded;
    },
    async [Symbol.asyncDispose]() {
      for (const watcher of watchers.values()) watcher[Symbol.dispose]();
      watchers.clear();
      await loop[Symbol.asyncDispose]();
    },
  };
}

/** By `fs.watch`, which may lack the folder, the rights or room for one more: then the looks find changes alone. */
const watchRealFolder: WatchFolder = (path, onEvent) => {
  try {
    const watcher = watch(path, { persistent: false }, (_, name) => onEvent(name ?? undefined));
    watcher.on('error', () => watcher.close());
    return { [Symbol.dispose]: () => watcher.close() };
  } catch (error) {
    if (codeOf(error) !== undefined) return undefined;
    throw error;
  }
};
