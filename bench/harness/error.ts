/** An expected error. The program prints only its message, without a stack trace. */
export class BenchError extends Error {
  override readonly name = 'BenchError';
}

/** Ends a program that was started with a wrong argument. */
export function exitWithUsage(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}
