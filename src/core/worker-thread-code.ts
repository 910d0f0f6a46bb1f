import type { MessagePort } from 'node:worker_threads';

/** The function to run, and its input. */
export interface ThreadMessage {
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

/**
 * Runs in the worker thread. The function is passed as source text, so it must not use anything from outside. A module
 * of its own would need another path in the source and in the package.
 */
export function startTask(
  port: MessagePort,
  { threadCpuUsage }: Pick<NodeJS.Process, 'threadCpuUsage'>,
  load: (url: string) => Promise<Module>,
): void {
  const reply = (message: ThreadReply): void => port.postMessage(message);
  port.on('message', ({ module, name, input }: ThreadMessage) => {
    const run = async (): Promise<void> => {
      const task = (await load(module))[name];
      const { user, system } = threadCpuUsage();
      reply({ kind: 'begun', cpuMs: (user + system) / 1_000 });
      reply({ kind: 'done', output: await task?.(input) });
    };
    run().catch((error: unknown) =>
      reply({ kind: 'failed', name: error instanceof Error ? error.name : 'a value' }),
    );
  });
}
