import { createSecureContext } from 'node:tls';
import { AppError } from '../core/errors.ts';
import { readSmallFile, unread } from '../core/small-file.ts';
import type { Wake } from '../core/wake.ts';
import type { Logger } from '../log/logger.ts';

export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface Certificate {
  readonly cert: Buffer;
  readonly key: Buffer;
}

const EVERY_MS = 30_000;

/** @throws AppError CREDENTIAL_MISSING, CONFIG_INVALID. */
export async function readCertificate({ certFile, keyFile }: CertificateFiles): Promise<Certificate> {
  const [cert, key] = await Promise.all([read(certFile, 'certFile'), read(keyFile, 'keyFile')]);
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    const detail = 'certificate and private key do not parse or do not belong together';
    throw new AppError('CONFIG_INVALID', { about: 'http.tls', detail, cause: error });
  }
  return { cert, key };
}

async function read(path: string, name: string): Promise<Buffer> {
  try {
    return await readSmallFile(path);
  } catch (thrown) {
    throw unread(path, thrown, 'CREDENTIAL_MISSING', `http.tls.${name}`);
  }
}

export interface RenewalOptions {
  readonly files: CertificateFiles;
  readonly current: Certificate;
  readonly wake: Wake;
  readonly logger: Logger;
  use(certificate: Certificate): void;
}

/**
 * Looks at the files from time to time, since notices of file systems miss how Kubernetes swaps a volume. A pair
 * that is seen half written does not match: the old one stays until the next look.
 */
export function renewCertificate({ files, current, wake, logger, use }: RenewalOptions): () => void {
  let known = current;
  let failing = false;
  let stopped = false;
  let callOff = wake(look, EVERY_MS);

  async function look(): Promise<void> {
    try {
      const found = await readCertificate(files);
      if (!stopped && !(found.cert.equals(known.cert) && found.key.equals(known.key))) {
        use(found);
        known = found;
        logger.info('certificate renewed');
      }
      failing = false;
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      if (!failing) logger.warn('certificate cannot be renewed', { error });
      failing = true;
    }
    if (!stopped) callOff = wake(look, EVERY_MS);
  }

  return () => {
    stopped = true;
    callOff();
  };
}
