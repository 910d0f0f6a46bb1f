/** A server for tests: an existing one, or one that this run started. */
export interface Service extends AsyncDisposable {
  readonly name: string;
  readonly address: string;
  /** True for an existing server. It is used and never stopped. */
  readonly borrowed: boolean;
  /** Resolves to a description when the server exits unexpectedly. */
  readonly unexpectedExit: Promise<string>;
  stop(): Promise<void>;
}

/** The members of a server that concern its end. */
export type Lifetime = Omit<Service, 'name' | 'address'>;

/** For an existing server, which this run does not stop. */
export const BORROWED: Lifetime = {
  borrowed: true,
  unexpectedExit: new Promise(() => {}),
  stop: async () => {},
  [Symbol.asyncDispose]: async () => {},
};

export interface StartOptions {
  /** Receives one line before a long step. */
  report?: (line: string) => void;
}

/** An error whose message says what is wrong and what to do. It needs no stack trace. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
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
