import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { AppError } from '../../core/errors.ts';

const TIMEOUT_MS = 5_000;
const MAX_HEAP_MB = 64;

export interface Pkcs12Contents {
  /** DER. */
  readonly certificates: readonly Uint8Array[];
  /**
   * The public key as DER, for the private key in the file, if there is one. The private key itself is not returned.
   */
  readonly publicKey: Uint8Array | undefined;
}

/**
 * Reads a PKCS#12 file without a password. Returns undefined if the file is not such a file. The file itself specifies
 * the number of hash iterations, up to two billion. So a separate thread reads it, with a timeout.
 * @throws AppError DECODE_FAILED if reading takes too much time or memory.
 */
export async function contentsOf(
  file: Uint8Array,
  timeoutMs = TIMEOUT_MS,
): Promise<Pkcs12Contents | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<Pkcs12Contents | undefined>();
  const worker = new Worker(new URL(`./pkcs12-worker${extname(import.meta.filename)}`, import.meta.url), {
    workerData: file,
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
    execArgv: [],
  });
  const giveUp = () =>
    reject(new AppError('DECODE_FAILED', { detail: 'reading its PKCS#12 needs too much time or memory' }));
  const timer = setTimeout(giveUp, timeoutMs);
  worker
    .once('message', resolve)
    .once('error', (error) => {
      if ('code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY') giveUp();
      else reject(error);
    })
    .once('exit', giveUp);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}
