import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { sortCertificates } from '../../core/certificate-chain.ts';
import { AppError } from '../../core/errors.ts';
import { codeOf } from '../../core/system-errors.ts';

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const KEY = /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----[^-]+-----END (?:[A-Z]+ )?PRIVATE KEY-----/;

interface Found {
  readonly certificates: readonly X509Certificate[];
  /** Of the private key beside them, if it tells. */
  readonly publicKey: KeyObject | undefined;
}

/**
 * The certificates in the secret behind a certificate, as PEM, each with its final newline: the certificate itself,
 * which is that of the private key, first, then each one's issuer, then what has no place among them.
 * @param contentType `application/x-pem-file` or `application/x-pkcs12`, the latter in base64.
 * @throws AppError DECODE_FAILED
 */
export async function chainOf(text: string, contentType: string | undefined): Promise<string> {
  const { certificates, publicKey } = text.includes('-----BEGIN ')
    ? fromPem(text)
    : await fromPkcs12(text, contentType);
  if (certificates.length === 0) throw undecodable();
  const { chain, others } = sortCertificates(certificates, {
    isOfKey: (it) => publicKey?.equals(it.publicKey) === true,
    // The order of a PKCS#12 file means nothing, and one that lacks an issuer may begin with the root.
    isLikely: ({ ca }) => !ca,
  });
  return [...chain, ...others].map((certificate) => certificate.toString()).join('');
}

function fromPem(text: string): Found {
  const [key] = KEY.exec(text) ?? [];
  return { certificates: parse(text.match(BLOCK) ?? []), publicKey: key === undefined ? key : publicOf(key) };
}

async function fromPkcs12(text: string, contentType: string | undefined): Promise<Found> {
  if (contentType !== 'application/x-pkcs12' && !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw undecodable();
  const { contentsOf } = await import('./pkcs12.ts');
  const found = await contentsOf(Buffer.from(text, 'base64'));
  if (found === undefined) throw undecodable();
  const { certificates, publicKey: key } = found;
  const publicKey = key && publicOf({ key: Buffer.from(key), format: 'der', type: 'spki' });
  return { certificates: parse(certificates), publicKey };
}

/** Without it the certificate is found by what it is, so one of a kind that is not known matters little. */
function publicOf(key: Parameters<typeof createPublicKey>[0]): KeyObject | undefined {
  try {
    return createPublicKey(key);
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return undefined;
  }
}

function parse(certificates: readonly (string | Uint8Array)[]): readonly X509Certificate[] {
  return certificates.map((certificate) => {
    try {
      return new X509Certificate(certificate);
    } catch (error) {
      if (codeOf(error) === undefined) throw error;
      throw undecodable();
    }
  });
}

function undecodable(): AppError {
  return new AppError('DECODE_FAILED', { detail: 'it holds no certificate in PEM or PKCS#12' });
}
