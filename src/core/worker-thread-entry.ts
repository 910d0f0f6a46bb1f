import { parentPort } from 'node:worker_threads';

// The worker thread runs this file.

/** The function to run, and its input. */
export interface ThreadMessage {
  /** The URL of the module that exports the function. */
  readonly module: string;
  readonly name: string;
  readonly input: unknown;
}

/** `begun` is sent before the function runs. `cpuMs` is the processor time that the thread has used so far. */
export type ThreadReply =
  | { readonly kind: 'begun'; readonly cpuMs: number }
  | { readonly kind: 'done'; readonly output: unknown }
  | { readonly kind: 'failed'; readonly name: string };

type Module = Readonly<Record<string, (input: unknown) => unknown>>;

const reply = (message: ThreadReply): void => parentPort?.postMessage(message);

async function run({ module, name, input }: ThreadMessage): Promise<void> {
  const task = ((await import(module)) as Module)[name];
  const { user, system } = process.threadCpuUsage();
  reply({ kind: 'begun', cpuMs: (user + system) / 1_000 });
  reply({ kind: 'done', output: await task?.(input) });
}

parentPort?.on('message', (message: ThreadMessage) => {
  run(message).catch((error: unknown) =>
    reply({ kind: 'failed', name: error instanceof Error ? error.name : 'a value' }),
  );
});
