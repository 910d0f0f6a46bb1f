import { X509Certificate } from 'node:crypto';
import { AppError } from '../../core/errors.ts';

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * The certificates in the secret behind a certificate, as PEM, each with its final newline: the certificate itself
 * first, then each one's issuer.
 * @param contentType `application/x-pem-file` or `application/x-pkcs12`, the latter in base64.
 * @throws AppError DECODE_FAILED
 */
export async function chainOf(text: string, contentType: string | undefined): Promise<string> {
  const found = text.includes('-----BEGIN ')
    ? parse(text.match(BLOCK) ?? [])
    : parse(await fromPkcs12(text, contentType));
  if (found.length === 0) throw undecodable();
  return inOrder(found)
    .map((certificate) => certificate.toString())
    .join('');
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
      if (!(error instanceof Error && 'code' in error)) throw error;
      throw undecodable();
    }
  });
}

/** The order of a PKCS#12 file means nothing. What has no place in the chain goes to its end. */
function inOrder(certificates: readonly X509Certificate[]): readonly X509Certificate[] {
  const rest = [...certificates];
  const issued = (by: X509Certificate) => rest.some((other) => other !== by && other.checkIssued(by));
  const chain: X509Certificate[] = [];
  let next = rest.find((certificate) => !issued(certificate)) ?? rest[0];
  while (next !== undefined) {
    const current = next;
    chain.push(current);
    rest.splice(rest.indexOf(current), 1);
    next = rest.find((other) => current.checkIssued(other)) ?? rest[0];
  }
  return chain;
}

function undecodable(): AppError {
  return new AppError('DECODE_FAILED', { detail: 'it holds no certificate in PEM or PKCS#12' });
}
