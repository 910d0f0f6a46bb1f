import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { AppError } from '../../core/errors.ts';

const LONGEST_MS = 5_000;
const LARGEST_MB = 64;

export interface Pkcs12Contents {
  /** DER. */
  readonly certificates: readonly Uint8Array[];
  /** Of the private key, if there is one, DER: the private one stays where it was found. */
  readonly publicKey: Uint8Array | undefined;
}

/**
 * What is in a PKCS#12 file without a password; undefined when it is no such file. The file says how often its password
 * is hashed, up to two thousand million times, so a thread of its own does that, for a while.
 * @throws AppError DECODE_FAILED when that is not enough.
 */
export async function contentsOf(
  file: Uint8Array,
  longestMs = LONGEST_MS,
): Promise<Pkcs12Contents | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<Pkcs12Contents | undefined>();
  const worker = new Worker(new URL(`./pkcs12-worker${extname(import.meta.filename)}`, import.meta.url), {
    workerData: file,
    resourceLimits: { maxOldGenerationSizeMb: LARGEST_MB },
    execArgv: [],
  });
  const giveUp = () =>
    reject(new AppError('DECODE_FAILED', { detail: 'reading its PKCS#12 takes too much' }));
  const timer = setTimeout(giveUp, longestMs);
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
