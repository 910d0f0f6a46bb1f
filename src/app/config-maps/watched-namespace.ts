import type { ConfigMapScope, NamespaceState, SelectedConfigMaps } from '../../cluster/team-ports.ts';
import { type AppError, toAppError } from '../../core/errors.ts';
import type { Timers } from '../../core/timer.ts';
import { ChangeThrottle } from './change-throttle.ts';
import {
  type Content,
  endingNamespace,
  invalid,
  type KeptConfigMap,
  kept,
  type NamespaceFolder,
  notListed,
  sizeOf,
} from './folders.ts';

export interface WatchedNamespaceDeps {
  readonly maps: SelectedConfigMaps;
  readonly scope: ConfigMapScope;
  /** The maximum size of all contents together. */
  readonly maxBytes: number;
  readonly timers: Timers;
  /** Called when a ConfigMap has changed, or without a name when all of them may have. */
  readonly onChange: (name?: string) => void;
  /**
   * `removed`: a ConfigMap was removed, and its namespace is not ending. `seen`: a ConfigMap has changed, also if its
   * mappings are the same.
   */
  readonly onMap: (what: 'removed' | 'seen', name: string) => void;
}

/** The delays before the namespace of a missing ConfigMap is read again. */
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 30_000;
/** The delay before a namespace that was ending at the first list is read again. */
const ENDING_RETRY_MS = 5_000;

/**
 * The ConfigMaps of one namespace that a selector matches, kept current by a watch. A ConfigMap that is missing from the
 * watch stays until its namespace is known to be active. When a namespace ends, the API server deletes its ConfigMaps,
 * but no person has removed their mappings.
 */
export class WatchedNamespace implements NamespaceFolder, AsyncDisposable {
  readonly contents = new Map<string, Content>();
  /** Resolves when the ConfigMaps were listed, or cannot be listed. */
  readonly ready: Promise<void>;
  readonly #deps: WatchedNamespaceDeps;
  readonly #becomeReady: () => void;
  readonly #throttle: ChangeThrottle;
  readonly #disposal = new AbortController();
  /** The names of ConfigMaps that are missing from the watch. */
  readonly #missing = new Set<string>();
  #watch: AsyncDisposable;
  #error: AppError | undefined;
  #isListed = false;
  /** Whether contents were refused because of their size. */
  #hasRefused = false;
  #bytes = 0;
  #failures = 0;
  #isChecking = false;
  #cancelRetry: () => void = () => undefined;

  constructor(deps: WatchedNamespaceDeps) {
    this.#deps = deps;
    this.#throttle = new ChangeThrottle(deps);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ready = promise;
    this.#becomeReady = resolve;
    this.#error = notListed(deps.scope.namespace);
    this.#watch = this.#startWatch();
  }

  get error(): AppError | undefined {
    return this.#error;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposal.abort();
    this.#throttle[Symbol.dispose]();
    this.#cancelRetry();
    this.#becomeReady();
    await this.#watch[Symbol.asyncDispose]();
  }

  #startWatch(): AsyncDisposable {
    return this.#deps.maps.watch<KeptConfigMap>(this.#deps.scope, {
      convert: kept,
      listed: (items) => this.#listed(items),
      changed: (item) => {
        if (this.#keep(item)) this.#throttle.note(item.name);
        this.#deps.onMap('seen', item.name);
      },
      deleted: ({ name }) => {
        this.#miss(name);
        void this.#checkMissing();
      },
      progress: (error) => this.#progress(error),
    });
  }

  #listed(items: readonly KeptConfigMap[]): void {
    const names = new Set(items.map(({ name }) => name));
    for (const name of this.contents.keys()) if (!names.has(name)) this.#miss(name);
    for (const item of items) if (this.#keep(item) && this.#isListed) this.#throttle.note(item.name);
    if (this.#isListed) {
      this.#setError(undefined);
      void this.#checkMissing();
    } else void this.#firstListed();
  }

  /** ConfigMaps of an ending namespace may be deleted already. So such a namespace counts as not listed. */
  async #firstListed(): Promise<void> {
    const state = await this.#readState();
    if (this.#disposal.signal.aborted) return;
    this.#isListed = state !== 'ending';
    this.#setError(this.#isListed ? undefined : endingNamespace(this.#deps.scope.namespace));
    this.#becomeReady();
    if (this.#isListed) void this.#checkMissing();
    else this.#retry(() => void this.#firstListed(), ENDING_RETRY_MS);
  }

  /** Returns whether the content has changed. */
  #keep({ name, content }: KeptConfigMap): boolean {
    const wasMissing = this.#missing.delete(name);
    const before = this.contents.get(name);
    const bytes = this.#bytes - sizeOf(before);
    const isTooMuch = bytes + sizeOf(content) > this.#deps.maxBytes;
    const next = isTooMuch ? tooMuch(this.#deps.maxBytes) : content;
    this.#hasRefused ||= isTooMuch;
    if (!wasMissing && before !== undefined && isSame(before, next)) return false;
    this.contents.set(name, next);
    this.#resize(bytes + sizeOf(next));
    return true;
  }

  /** Refused contents were not kept, so they are listed again if there is room now. */
  #resize(bytes: number): void {
    const hasRoom = bytes < this.#bytes && this.#hasRefused;
    this.#bytes = bytes;
    if (!hasRoom || this.#disposal.signal.aborted) return;
    this.#hasRefused = false;
    void this.#watch[Symbol.asyncDispose]();
    this.#watch = this.#startWatch();
  }

  #miss(name: string): void {
    if (this.contents.has(name)) this.#missing.add(name);
  }

  /** Removes the missing ConfigMaps if the namespace is not ending. Otherwise explains why they stay. */
  async #checkMissing(): Promise<void> {
    if (!this.#isListed || this.#isChecking || this.#missing.size === 0) return;
    this.#isChecking = true;
    this.#cancelRetry();
    // A ConfigMap that disappears during this read is checked next time.
    const names = [...this.#missing];
    const state = await this.#readState();
    this.#isChecking = false;
    if (this.#disposal.signal.aborted) return;
    const still = names.filter((name) => this.#missing.has(name));
    if (state === 'active' || state === 'missing') {
      this.#failures = 0;
      for (const name of still) this.#remove(name, state);
      if (this.#missing.size > 0) void this.#checkMissing();
      return;
    }
    this.#failures += 1;
    // A single failure is no news, because the next attempt is close.
    if (state === 'ending' || !state.isTransient || this.#failures > 1)
      for (const name of still) this.#explain(name, state);
    const delayMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** (this.#failures - 1));
    this.#retry(() => void this.#checkMissing(), delayMs);
  }

  #retry(work: () => void, delayMs: number): void {
    this.#cancelRetry();
    this.#cancelRetry = this.#deps.timers.wake(work, delayMs);
  }

  #remove(name: string, state: NamespaceState): void {
    const content = this.contents.get(name);
    this.#missing.delete(name);
    this.contents.delete(name);
    this.#throttle.note(name);
    if (state === 'active') this.#deps.onMap('removed', name);
    this.#resize(this.#bytes - sizeOf(content));
  }

  /** With an error, the ConfigMap counts as invalid, so its last version stays in force. */
  #explain(name: string, state: AppError | 'ending'): void {
    const error = staysBecause(state);
    const before = this.contents.get(name);
    if (before !== undefined && isSame(before, error)) return;
    this.#bytes -= sizeOf(before);
    this.contents.set(name, error);
    this.#throttle.note(name);
  }

  async #readState(): Promise<NamespaceState | AppError> {
    const { maps, scope } = this.#deps;
    try {
      return await maps.namespaceState(scope.namespace, { signal: this.#disposal.signal });
    } catch (error) {
      return toAppError(error);
    }
  }

  #progress(error: AppError | undefined): void {
    if (error === undefined) {
      if (this.#isListed) this.#setError(undefined);
      return;
    }
    // After a good list, the watch recovers from most failures without losing anything.
    if (!this.#isListed || !error.isTransient) this.#setError(error);
    this.#becomeReady();
  }

  #setError(error: AppError | undefined): void {
    const isOther = this.#error?.message !== error?.message;
    this.#error = error;
    if (isOther) this.#throttle.note();
  }
}

function staysBecause(state: AppError | 'ending'): AppError {
  const start = 'the ConfigMap is gone, but its mappings stay in force, because';
  if (state === 'ending') return invalid(`${start} the namespace is ending`);
  return invalid(
    `${start} the namespace cannot be read to see whether it is ending (${state.code}); ${state.remedy}`,
  );
}

function tooMuch(maxBytes: number): AppError {
  return invalid(
    `the ConfigMaps of the namespace have more than ${Math.floor(maxBytes / 1024 ** 2)} MiB together`,
  );
}

function isSame(first: Content, second: Content): boolean {
  if (typeof first === 'string' || typeof second === 'string') return first === second;
  return first.message === second.message;
}
