import { createSecureContext } from 'node:tls';
import { AppError } from '../core/errors.ts';
import { readSmallFile, toReadError } from '../core/small-file.ts';
import type { StartTimer } from '../core/timer.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface Certificate {
  readonly cert: Buffer;
  readonly key: Buffer;
}

const CHECK_INTERVAL_MS = 30_000;

/** @throws AppError CREDENTIAL_MISSING, CONFIG_INVALID. */
export async function readCertificate({ certFile, keyFile }: CertificateFiles): Promise<Certificate> {
  const [cert, key] = await Promise.all([read(certFile, 'certFile'), read(keyFile, 'keyFile')]);
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    const detail = 'the certificate or private key is invalid, or they do not match';
    throw new AppError('CONFIG_INVALID', { subject: 'http.tls', detail, cause: error });
  }
  return { cert, key };
}

async function read(path: string, name: string): Promise<Buffer> {
  try {
    return await readSmallFile(path);
  } catch (thrown) {
    throw toReadError(path, thrown, 'CREDENTIAL_MISSING', `http.tls.${name}`);
  }
}

export interface CertificateWatchOptions {
  readonly files: CertificateFiles;
  readonly current: Certificate;
  readonly wake: StartTimer;
  readonly logger: Logger;
  use(certificate: Certificate): void;
}

/**
 * Polls the files of the certificate and its key, because file system notifications miss the volume updates of
 * Kubernetes. If only one of the two files has been updated yet, they do not match. In this case, the old certificate
 * stays in use until the next check.
 */
export function watchCertificate({ files, current, wake, logger, use }: CertificateWatchOptions): () => void {
  let inUse = current;
  let isFailing = false;
  let isStopped = false;
  let cancelTimer = wake(check, CHECK_INTERVAL_MS);

  async function check(): Promise<void> {
    try {
      const loaded = await readCertificate(files);
      if (!isStopped && !(loaded.cert.equals(inUse.cert) && loaded.key.equals(inUse.key))) {
        use(loaded);
        inUse = loaded;
        logger.info('certificate reloaded');
      }
      isFailing = false;
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      if (!isFailing) logger.warn('certificate reload failed', { error });
      isFailing = true;
    }
    if (!isStopped) cancelTimer = wake(check, CHECK_INTERVAL_MS);
  }

  return () => {
    isStopped = true;
    cancelTimer();
  };
}
