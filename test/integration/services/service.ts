/** A server that tests talk to: one that was already there, or one that this run started. */
export interface Service extends AsyncDisposable {
  readonly name: string;
  readonly address: string;
  /** True for a server that was already running: it is used, and never stopped. */
  readonly borrowed: boolean;
  /** Becomes a sentence if the server ends although nobody stopped it. */
  readonly lost: Promise<string>;
  stop(): Promise<void>;
}

/** How a server ends. */
export type Lifetime = Omit<Service, 'name' | 'address'>;

/** Of a server that somebody else ends. */
export const BORROWED: Lifetime = {
  borrowed: true,
  lost: new Promise(() => {}),
  stop: async () => {},
  [Symbol.asyncDispose]: async () => {},
};

export interface StartOptions {
  /** Told in one line what is about to take long. */
  report?: (line: string) => void;
}

/** Says in its message what is wrong and what to do about it; needs no stack to be understood. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
}

export function reportToStderr(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Asks until `check` says yes. Fails after the deadline, or as soon as `check` itself fails. */
export async function until(what: string, deadlineMs: number, check: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await check())) {
    if (performance.now() > end) {
      throw new ServiceError(`${what} did not happen within ${Math.round(deadlineMs / 1000)} seconds.`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
