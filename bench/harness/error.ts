/** An error whose message explains it without a stack. */
export class BenchError extends Error {
  override readonly name = 'BenchError';
}
