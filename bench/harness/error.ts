/** An expected error. Only its message is printed, without a stack. */
export class BenchError extends Error {
  override readonly name = 'BenchError';
}
