import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { AppError } from './errors.ts';
import type { ThreadMessage, ThreadReply } from './worker-thread-entry.ts';

// One worker thread runs the work whose cost depends on the input of tenants and stores. The main thread stays free, and
// it can end the worker thread together with work that takes too long.

/** A function that runs in the worker thread. Input and output are copied, so they must be plain data. */
export interface Task<In, Out> {
  /** The URL of the module that exports the function. */
  readonly module: string;
  readonly name: string;
  /** The function itself, from which the task has its types. */
  readonly run: (input: In) => Out | Promise<Out>;
}

/** @param run A function that its module exports under its own name. */
export function defineTask<In, Out>(module: string, run: (input: In) => Out | Promise<Out>): Task<In, Out> {
  return { module, name: run.name, run };
}

export interface TaskOptions {
  /** The part of the configuration that asks for the work. Groups take turns. */
  readonly group: string;
  /** Processor time, in milliseconds. */
  readonly timeMs: number;
  /** If set, the task has a thread of its own with this much memory. The thread ends with the task. */
  readonly memoryMb?: number;
}

/** `exceeded`: the task was ended, because it needed too much time or memory. */
export type TaskResult<Out> = { readonly kind: 'done'; readonly output: Out } | { readonly kind: 'exceeded' };

const ENTRY = new URL(`./worker-thread-entry${extname(import.meta.filename)}`, import.meta.url);
const EXCEEDED = { kind: 'exceeded' } as const;
/** Without work for this time, the thread ends, so that it needs no memory. */
const IDLE_MS = 30_000;
/** A task on a busy machine may take this many times longer than its processor time. */
const MAX_SLOWDOWN = 5;
const MIN_WAIT_MS = 10;
/** The longest time that a timer of Node can wait. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const MEMORY_MB = 192;
/**
 * The limit for the young generation of the thread's heap. By default V8 reserves 128 MiB, which the process never
 * returns.
 */
const YOUNG_GENERATION_MB = 8;
/** The used time of a group counts half after this time. */
const HALF_LIFE_MS = 10_000;

interface Pending {
  readonly message: ThreadMessage;
  readonly timeMs: number;
  readonly memoryMb: number | undefined;
  readonly settle: (result: TaskResult<unknown> | AppError) => void;
}

/** Runs tasks in one thread. The thread starts with the first task and ends when it is idle. */
export class WorkerThread implements AsyncDisposable {
  readonly #groups = new Map<string, { readonly waiting: Pending[]; usedMs: number }>();
  readonly #idleMs: number;
  #worker: Worker | undefined;
  #isBusy = false;
  #decayedAt = performance.now();
  #idleTimer: NodeJS.Timeout | undefined;

  constructor({ idleMs = IDLE_MS }: { readonly idleMs?: number } = {}) {
    this.#idleMs = idleMs;
  }

  get isRunning(): boolean {
    return this.#worker !== undefined;
  }

  /** @throws AppError INTERNAL if the function throws. */
  async run<In, Out>(
    { module, name }: Task<In, Out>,
    input: In,
    { group, timeMs, memoryMb }: TaskOptions,
  ): Promise<TaskResult<Out>> {
    const { promise, resolve, reject } = Promise.withResolvers<TaskResult<Out>>();
    const { waiting } = this.#groups.get(group) ?? this.#addGroup(group);
    waiting.push({
      message: { module, name, input },
      timeMs,
      memoryMb,
      // The thread runs this very function, so its output has this type.
      settle: (result) => (result instanceof AppError ? reject(result) : resolve(result as TaskResult<Out>)),
    });
    this.#next();
    return promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }

  #addGroup(name: string): { readonly waiting: Pending[]; usedMs: number } {
    const group = { waiting: [], usedMs: 0 };
    this.#groups.set(name, group);
    return group;
  }

  /** Starts the next task of the group that has used the least time recently. */
  #next(): void {
    if (this.#isBusy) return;
    this.#decay();
    const groups = [...this.#groups.values()].filter(({ waiting }) => waiting.length > 0);
    const [group] = groups.toSorted((a, b) => a.usedMs - b.usedMs);
    const pending = group?.waiting.shift();
    if (group === undefined || pending === undefined) {
      this.#idleTimer = setTimeout(() => void this.#end(), this.#idleMs).unref();
      return;
    }
    clearTimeout(this.#idleTimer);
    this.#isBusy = true;
    const startedAt = performance.now();
    void this.#execute(pending).then((result) => {
      this.#isBusy = false;
      group.usedMs += performance.now() - startedAt;
      pending.settle(result);
      this.#next();
    });
  }

  #decay(): void {
    const now = performance.now();
    const share = 0.5 ** ((now - this.#decayedAt) / HALF_LIFE_MS);
    this.#decayedAt = now;
    for (const [name, group] of this.#groups) {
      group.usedMs *= share;
      if (group.usedMs < 1 && group.waiting.length === 0) this.#groups.delete(name);
    }
  }

  async #execute({ message, timeMs, memoryMb }: Pending): Promise<TaskResult<unknown> | AppError> {
    if (memoryMb !== undefined) await this.#end();
    let worker: Worker;
    try {
      worker = this.#worker ?? this.#start(memoryMb ?? MEMORY_MB);
      worker.postMessage(message);
    } catch (error) {
      // The system may lack resources for a thread.
      void this.#end();
      return failure(error instanceof Error ? error.name : 'a value');
    }
    const { promise, resolve } = Promise.withResolvers<TaskResult<unknown> | AppError>();
    const exceed = () => resolve(EXCEEDED);
    let stopWatching: (() => void) | undefined;
    const onMessage = (reply: ThreadReply): void => {
      if (reply.kind === 'begun') stopWatching = watchTime(worker, reply.cpuMs, timeMs, exceed);
      else resolve(reply.kind === 'done' ? reply : failure(reply.name));
    };
    const onError = (error: Error): void => {
      const isMemory = 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY';
      resolve(isMemory ? EXCEEDED : failure(error.name));
    };
    worker.on('message', onMessage).on('error', onError).on('exit', exceed).ref();
    const result = await promise;
    stopWatching?.();
    worker.off('message', onMessage).off('error', onError).off('exit', exceed).unref();
    const isOver = result instanceof AppError || result.kind === 'exceeded' || memoryMb !== undefined;
    // Do not wait for the end, because the thread may be inside a long call of the engine.
    if (isOver) void this.#end();
    return result;
  }

  #start(memoryMb: number): Worker {
    const worker = new Worker(ENTRY, {
      env: {},
      // Do not pass on the flags of this process, because they may not suit a thread.
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: memoryMb, maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    // A thread without a task has nothing to report.
    worker.on('error', () => undefined);
    worker.on('exit', () => {
      if (this.#worker === worker) this.#worker = undefined;
    });
    this.#worker = worker;
    return worker;
  }

  async #end(): Promise<void> {
    clearTimeout(this.#idleTimer);
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }
}

/**
 * Calls `onExceeded` when the thread has used its processor time, or when the work takes far too long on a busy machine.
 * Returns a function that stops the watch.
 */
function watchTime(worker: Worker, beganMs: number, timeMs: number, onExceeded: () => void): () => void {
  const waitMs = Math.min(timeMs, MAX_TIMER_MS);
  // Node before 24.6 does not report the processor time of a thread. No thread reports it while it is inside a long call
  // of the engine.
  const isReported = 'cpuUsage' in worker;
  const last = setTimeout(onExceeded, Math.min(isReported ? waitMs * MAX_SLOWDOWN : waitMs, MAX_TIMER_MS));
  let timer: NodeJS.Timeout | undefined;
  const check = (): void => {
    worker.cpuUsage().then(
      ({ user, system }) => {
        const leftMs = waitMs - ((user + system) / 1_000 - beganMs);
        if (leftMs <= 0) onExceeded();
        else timer = setTimeout(check, Math.max(MIN_WAIT_MS, leftMs));
      },
      // The thread has already ended.
      () => undefined,
    );
  };
  if (isReported) timer = setTimeout(check, waitMs);
  return () => {
    clearTimeout(last);
    clearTimeout(timer);
  };
}

/** The message of the error is not passed on, because it may contain a value. */
function failure(name: string): AppError {
  return new AppError('INTERNAL', { detail: `the worker thread failed with ${name}` });
}

/** The worker thread of this process. */
export const workerThread = new WorkerThread();
