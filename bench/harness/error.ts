/** An expected error. The program prints only its message, without a stack trace. */
export class BenchError extends Error {
  override readonly name = 'BenchError';
}
