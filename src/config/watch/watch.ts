import { watch } from 'node:fs';
import { difference } from '../../core/lists.ts';
import { codeOf } from '../../core/system-errors.ts';
import { type StartTimer, startTimer } from '../../core/timer.ts';
import type { LoadResult } from '../check-documents.ts';
import { type ConfigFs, realFs } from '../files/files.ts';
import { type FileSnapshot, recordingFs } from './file-snapshot.ts';
import { FolderEvents } from './folder-events.ts';
import { type Loop, type LoopContext, startLoop } from './loop.ts';

/**
 * Watches a folder and reports changes, with the entry's name if known. Returns `undefined` if the folder cannot be
 * watched at the moment.
 *
 * @param onEvent The kind `rename` means that the entry has appeared, disappeared or been replaced. `change` means that
 * its content was written in place.
 */
export type WatchFolder = (
  path: string,
  onEvent: (name: string | undefined, kind: 'rename' | 'change') => void,
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
  /** The same if files were only replaced as a whole, and nothing was removed. */
  readonly replacedMs?: number;
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
  readonly tookMs: number;
}

/** The delay after a file system event. Editors empty a file before they write it. */
const BATCH_MS = 50;

/** The content is accepted after this many checks even if it changes each time. */
const MAX_ROUNDS = 50;
/** The same for ConfigMaps, which must apply within two seconds. */
const MAX_EXCHANGE_ROUNDS = 3;
/** The longest rest between two loads because of ConfigMaps. It is as long as the last load. */
const MAX_REST_MS = 1_000;

/**
 * Watches all files of the configuration, including files that do not exist yet. Each check compares the content; file
 * system events only make the next check start earlier.
 */
export async function watchConfig(options: WatchOptions): Promise<ConfigWatch> {
  const resolved = {
    onProgress: () => undefined,
    readFs: realFs,
    watchFolder: watchRealFolder,
    wake: startTimer,
    everyMs: 5_000,
    settleMs: 300,
    replacedMs: 10,
    now: () => performance.now(),
    ...options,
  };
  return new FilesWatch(resolved, await loadFiles(resolved));
}

/** @param since The previous load, and the events since then. If set, only what the events name is read again. */
async function loadFiles(
  { load, readFs, now }: Required<WatchOptions>,
  since?: { readonly before: FileSnapshot; readonly events: FolderEvents },
): Promise<LoadedFiles> {
  const startedAt = now();
  let readAt = startedAt;
  const recording = recordingFs(readFs, {
    onAnswer: () => {
      readAt = now();
    },
    ...(since === undefined
      ? {}
      : { before: since.before, mayDiffer: (path: string) => since.events.mayConcern(path) }),
  });
  const loaded = await load(recording.fs);
  return { loaded, snapshot: recording.snapshot(), readAt, tookMs: now() - startedAt };
}

/**
 * Whether a configuration contains all stores and mappings of the previous one. A change of several files is often
 * visible file by file, and then something seems to be missing until the last file is written.
 */
function isExtension(before: LoadResult, after: LoadResult): boolean {
  return after.problems.length === 0 && keepsNames(before, after);
}

function keepsNames(before: LoadResult, after: LoadResult): boolean {
  if (before.kind === 'invalid' || after.kind === 'invalid') return false;
  return (['stores', 'mappings'] as const).every((section) => {
    const { removed, added } = difference<{ readonly name: string }>(
      before.config[section],
      after.config[section],
    );
    const names = new Set(added.map(({ name }) => name));
    return removed.every(({ name }) => names.has(name));
  });
}

class FilesWatch implements ConfigWatch {
  readonly initial: LoadResult;
  readonly #options: Required<WatchOptions>;
  readonly #watchers = new Map<string, Disposable>();
  readonly #loop: Loop;
  #current: LoadedFiles;
  /** The events since the start of the last check. */
  #events = new FolderEvents();

  constructor(options: Required<WatchOptions>, current: LoadedFiles) {
    this.initial = current.loaded;
    this.#options = options;
    this.#current = current;
    const { everyMs, wake, onProgress } = options;
    const check = (rounds: LoopContext, roused: boolean) => this.#checkFiles(rounds, roused);
    this.#loop = startLoop({ check, everyMs, wake, onProgress });
    this.#watchRelevantFolders();
  }

  async reload(): Promise<LoadResult> {
    await this.#loop.runExclusively(async () => this.#accept(await loadFiles(this.#options)));
    return this.#current.loaded;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const watcher of this.#watchers.values()) watcher[Symbol.dispose]();
    this.#watchers.clear();
    await this.#loop[Symbol.asyncDispose]();
  }

  async #checkFiles(rounds: LoopContext, roused: boolean): Promise<void> {
    const { readFs, settleMs, replacedMs, now, onProgress } = this.#options;
    // Create new watchers each time, because an old watcher gets no events for a replaced folder.
    if (roused) this.#watchRelevantFolders();
    else if (await this.#current.snapshot.isCurrent(readFs)) return;
    const events = this.#takeEvents();
    if (roused && (await this.#checkConfigMaps(rounds, events))) return;
    if (roused && events.areReplacements) {
      await rounds.pause(Math.min(replacedMs, settleMs));
      if (rounds.ending) return;
      events.add(this.#takeEvents());
      const next = await loadFiles(this.#options, { before: this.#current.snapshot, events });
      if (next.snapshot.digest === this.#current.snapshot.digest) return;
      await rounds.pause(Math.min(replacedMs, settleMs));
      if (rounds.ending) return;
      if (this.#events.isEmpty && events.areReplacements && isExtension(this.#current.loaded, next.loaded))
        return this.#accept(next);
    }
    for (let round = 1; ; round++) {
      await rounds.pause(Math.min(BATCH_MS, settleMs));
      if (rounds.ending) return;
      if (!events.haveConfigMaps && (await this.#current.snapshot.isCurrent(readFs))) return;
      const next = await loadFiles(this.#options);
      if (next.snapshot.digest === this.#current.snapshot.digest) return;
      // Count the time since the last file was read. Loading a thousand mappings may already have taken a while.
      await rounds.pause(Math.max(0, settleMs - (now() - next.readAt)));
      if (rounds.ending) return;
      if (round >= MAX_ROUNDS || (await next.snapshot.isCurrent(readFs))) return this.#accept(next);
      onProgress();
    }
  }

  /**
   * Each ConfigMap is complete. But several ConfigMaps that change together, such as two that exchange a mapping, arrive
   * one by one. So a change that removes something waits for more events.
   *
   * @returns False if other files have changed too.
   */
  async #checkConfigMaps(rounds: LoopContext, events: FolderEvents): Promise<boolean> {
    const { settleMs, replacedMs, now } = this.#options;
    for (let round = 1; events.areConfigMaps; round++) {
      // A team that changes its ConfigMap again and again must not keep the service busy.
      const restMs = Math.min(MAX_REST_MS, this.#current.tookMs - (now() - this.#current.readAt));
      await rounds.pause(Math.max(restMs, Math.min(replacedMs, settleMs)));
      events.add(this.#takeEvents());
      if (rounds.ending) return true;
      if (!events.areConfigMaps) return false;
      const next = await loadFiles(this.#options, { before: this.#current.snapshot, events });
      const isComplete = round >= MAX_EXCHANGE_ROUNDS || keepsNames(this.#current.loaded, next.loaded);
      if (!isComplete) await rounds.pause(settleMs);
      if (rounds.ending) return true;
      if (!isComplete && !this.#events.isEmpty) events.add(this.#takeEvents());
      else {
        await this.#accept(next);
        return true;
      }
    }
    return false;
  }

  async #accept(next: LoadedFiles): Promise<void> {
    if (next.snapshot.digest === this.#current.snapshot.digest) return;
    this.#current = next;
    this.#watchRelevantFolders();
    await this.#options.onChange(next.loaded);
  }

  #takeEvents(): FolderEvents {
    const events = this.#events;
    this.#events = new FolderEvents();
    return events;
  }

  #watchRelevantFolders(): void {
    const before = [...this.#watchers.values()];
    this.#watchers.clear();
    for (const [folder, isRelevant] of this.#current.snapshot.folders) {
      const watcher = this.#options.watchFolder(folder, (name, kind) => {
        if (name !== undefined && !isRelevant(name)) return;
        this.#events.note(folder, name, kind);
        this.#loop.trigger();
      });
      if (watcher !== undefined) this.#watchers.set(folder, watcher);
    }
    for (const watcher of before) watcher[Symbol.dispose]();
  }
}

/**
 * Watches a folder with `fs.watch`. The watch may fail because of a missing folder, missing permissions or too many
 * watchers. In this case, only the periodic checks find changes.
 */
export const watchRealFolder: WatchFolder = (path, onEvent) => {
  try {
    const watcher = watch(path, { persistent: false }, (kind, name) => onEvent(name ?? undefined, kind));
    watcher.on('error', () => watcher.close());
    return { [Symbol.dispose]: () => watcher.close() };
  } catch (error) {
    if (codeOf(error) !== undefined) return undefined;
    throw error;
  }
};
