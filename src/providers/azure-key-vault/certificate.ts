import { X509Certificate } from 'node:crypto';
import { sortCertificates } from '../../core/certificate-chain.ts';
import { AppError } from '../../core/errors.ts';
import { codeOf } from '../../core/system-errors.ts';

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * The certificates in the secret behind a certificate, as PEM, each with its final newline: the certificate itself
 * first, then each one's issuer, then what has no place among them.
 * @param contentType `application/x-pem-file` or `application/x-pkcs12`, the latter in base64.
 * @throws AppError DECODE_FAILED
 */
export async function chainOf(text: string, contentType: string | undefined): Promise<string> {
  const found = text.includes('-----BEGIN ')
    ? parse(text.match(BLOCK) ?? [])
    : parse(await fromPkcs12(text, contentType));
  if (found.length === 0) throw undecodable();
  // The order of a PKCS#12 file means nothing, and one that lacks an issuer may begin with the root.
  const { chain, others } = sortCertificates(found, ({ ca }) => !ca);
  return [...chain, ...others].map((certificate) => certificate.toString()).join('');
}

async function fromPkcs12(text: string, contentType: string | undefined): Promise<readonly Uint8Array[]> {
  if (contentType !== 'application/x-pkcs12' && !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw undecodable();
  const { certificatesIn } = await import('./pkcs12.ts');
  const found = await certificatesIn(Buffer.from(text, 'base64'));
  if (found === undefined) throw undecodable();
  return found;
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
