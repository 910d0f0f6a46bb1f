/** A server for tests. It existed before this run, or this run started it. */
export interface Service extends AsyncDisposable {
  readonly name: string;
  readonly address: string;
  /** True for a server that existed before this run. This run uses the server and never stops it. */
  readonly borrowed: boolean;
  /** Resolves when the server exits unexpectedly. The value describes the exit. */
  readonly unexpectedExit: Promise<string>;
  stop(): Promise<void>;
}

/** The members of a server that control its lifetime. */
export type Lifetime = Omit<Service, 'name' | 'address'>;

/** The lifetime of an existing server. This run never stops such a server. */
export const BORROWED: Lifetime = {
  borrowed: true,
  unexpectedExit: new Promise(() => {}),
  stop: async () => {},
  [Symbol.asyncDispose]: async () => {},
};

export interface StartOptions {
  /** Called with one line of text before a long step. */
  report?: (line: string) => void;
}

/** An error whose message says what is wrong and what to do. A stack trace would add nothing. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
}

/** Runs the main function of a script. A `ServiceError` is printed without its stack, and sets the exit code. */
export async function runScript(main: () => Promise<number>, failureCode = 1): Promise<void> {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = failureCode;
  }
}

export function reportToStderr(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Polls until `check` returns true. Throws after the deadline, or when `check` throws. */
export async function until(what: string, deadlineMs: number, check: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await check())) {
    if (performance.now() > end) {
      throw new ServiceError(`${what} did not happen within ${Math.round(deadlineMs / 1000)} seconds.`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
