/** Says in its message what is wrong; needs no stack to be understood. */
export class BenchError extends Error {
  override readonly name = 'BenchError';
}
