import { watch } from 'node:fs';
import { codeOf } from '../../core/system-errors.ts';
import { type StartTimer, startTimer } from '../../core/timer.ts';
import { type ConfigFs, realFs } from '../files/files.ts';
import type { LoadResult } from '../load.ts';
import { type FileSnapshot, recordingFs } from './file-snapshot.ts';
import { type LoopContext, startLoop } from './loop.ts';

/**
 * Watches a folder and reports changes, with the entry's name if known. Returns `undefined` if the folder cannot be
 * watched at the moment.
 */
export type WatchFolder = (
  path: string,
  onEvent: (name: string | undefined) => void,
) => Disposable | undefined;

export interface WatchOptions {
  /** Loads the configuration through this file system, which records the calls. */
  readonly load: (readFs: ConfigFs) => Promise<LoadResult>;
  /** Called with each new configuration, valid or not, and awaited. Two consecutive calls never get equal content. */
  readonly onChange: (loaded: LoadResult) => void | Promise<void>;
  /** Called after each check of the files, with the error of the check or of `onChange` if one failed. */
  readonly onProgress?: (error?: unknown) => void;
  readonly readFs?: ConfigFs;
  readonly watchFolder?: WatchFolder;
  readonly wake?: StartTimer;
  /**
   * The interval between checks. It limits the delay if there are no file system events, for example on network file
   * systems.
   */
  readonly everyMs?: number;
  /** How long the content must stay the same to count as completely written. */
  readonly settleMs?: number;
  /** A monotonic clock in milliseconds. */
  readonly now?: () => number;
}

export interface ConfigWatch extends AsyncDisposable {
  /** The configuration at the start of the watch. `onChange` is not called for it. */
  readonly initial: LoadResult;
  /**
   * Loads the files now (for SIGHUP) and awaits `onChange` if they changed. Never rejects. Errors are reported to
   * `onProgress`, and the previous configuration is returned.
   */
  reload(): Promise<LoadResult>;
}

interface LoadedFiles {
  readonly loaded: LoadResult;
  readonly snapshot: FileSnapshot;
  /** The time when the last file was read. */
  readonly readAt: number;
}

/** The delay after a file system event. Editors empty a file before they write it. */
const BATCH_MS = 50;

/** The content is accepted after this many checks even if it changes each time. */
const MAX_ROUNDS = 50;

/**
 * Watches all files of the configuration, including files that do not exist yet. Each check compares the content; file
 * system events only make the next check start earlier.
 */
export async function watchConfig(options: WatchOptions): Promise<ConfigWatch> {
  const {
    onChange,
    onProgress = () => undefined,
    readFs = realFs,
    watchFolder = watchRealFolder,
    wake = startTimer,
    everyMs = 5_000,
    settleMs = 300,
    now = () => performance.now(),
  } = options;
  const watchers = new Map<string, Disposable>();
  let current = await loadFiles();
  const { loaded: initial } = current;

  async function loadFiles(): Promise<LoadedFiles> {
    let readAt = now();
    const recording = recordingFs(readFs, () => {
      readAt = now();
    });
    const loaded = await options.load(recording.fs);
    return { loaded, snapshot: recording.snapshot(), readAt };
  }

  async function checkFiles(rounds: LoopContext, roused: boolean): Promise<void> {
    // Create new watchers each time, because an old watcher gets no events for a replaced folder.
    if (roused) watchRelevantFolders();
    else if (await current.snapshot.isCurrent(readFs)) return;
    for (let round = 1; ; round++) {
      await rounds.pause(Math.min(BATCH_MS, settleMs));
      if (rounds.ending || (await current.snapshot.isCurrent(readFs))) return;
      const next = await loadFiles();
      if (next.snapshot.digest === current.snapshot.digest) return;
      // Count the time since the last file was read. Loading a thousand mappings may already have taken a while.
      await rounds.pause(Math.max(0, settleMs - (now() - next.readAt)));
      if (rounds.ending) return;
      if (round >= MAX_ROUNDS || (await next.snapshot.isCurrent(readFs))) return accept(next);
      onProgress();
    }
  }

  async function accept(next: LoadedFiles): Promise<void> {
    if (next.snapshot.digest === current.snapshot.digest) return;
    current = next;
    watchRelevantFolders();
    await onChange(next.loaded);
  }

  function watchRelevantFolders(): void {
    const before = [...watchers.values()];
    watchers.clear();
    for (const [folder, isRelevant] of current.snapshot.folders) {
      const watcher = watchFolder(folder, (name) => {
        if (name === undefined || isRelevant(name)) loop.trigger();
      });
      if (watcher !== undefined) watchers.set(folder, watcher);
    }
    for (const watcher of before) watcher[Symbol.dispose]();
  }

  const loop = startLoop({ check: checkFiles, everyMs, wake, onProgress });
  watchRelevantFolders();
  return {
    initial,
    async reload() {
      await loop.runExclusively(async () => accept(await loadFiles()));
      return current.loaded;
    },
    async [Symbol.asyncDispose]() {
      for (const watcher of watchers.values()) watcher[Symbol.dispose]();
      watchers.clear();
      await loop[Symbol.asyncDispose]();
    },
  };
}

/**
 * Watches a folder with `fs.watch`. It may fail for a missing folder, missing permissions or too many watchers. Then
 * only the periodic checks find changes.
 */
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
