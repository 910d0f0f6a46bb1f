import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { sortCertificates } from '../../core/certificate-chain.ts';
import { AppError } from '../../core/errors.ts';
import { codeOf } from '../../core/system-errors.ts';

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const KEY = /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----[^-]+-----END (?:[A-Z]+ )?PRIVATE KEY-----/;

interface ParsedSecret {
  readonly certificates: readonly X509Certificate[];
  /**
   * The public key of the private key that is stored with the certificates. Undefined if there is none or it cannot be
   * read.
   */
  readonly publicKey: KeyObject | undefined;
}

/**
 * Returns the certificates of a certificate object as PEM, from the text of the secret that belongs to it. The
 * certificate of the private key comes first, followed by its chain of issuers, and then by unrelated certificates.
 * @param contentType `application/x-pem-file` or `application/x-pkcs12`. For the latter, the text is base64.
 * @throws AppError DECODE_FAILED
 */
export async function chainOf(text: string, contentType: string | undefined): Promise<string> {
  const { certificates, publicKey } = text.includes('-----BEGIN ')
    ? fromPem(text)
    : await fromPkcs12(text, contentType);
  if (certificates.length === 0) throw undecodable();
  const { chain, others } = sortCertificates(certificates, {
    isOfKey: (x509Certificate) => publicKey?.equals(x509Certificate.publicKey) === true,
    // Prefer a certificate that is not an authority. The order in a PKCS#12 file has no meaning, and a file with a
    // missing issuer may start with the root.
    isLikely: ({ ca }) => !ca,
  });
  return [...chain, ...others].map((certificate) => certificate.toString()).join('');
}

function fromPem(text: string): ParsedSecret {
  const [key] = KEY.exec(text) ?? [];
  return { certificates: parse(text.match(BLOCK) ?? []), publicKey: key === undefined ? key : publicOf(key) };
}

async function fromPkcs12(text: string, contentType: string | undefined): Promise<ParsedSecret> {
  if (contentType !== 'application/x-pkcs12' && !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw undecodable();
  const { contentsOf } = await import('./pkcs12.ts');
  const contents = await contentsOf(Buffer.from(text, 'base64'));
  if (contents === undefined) throw undecodable();
  const { certificates, publicKey: key } = contents;
  const publicKey = key && publicOf({ key: Buffer.from(key), format: 'der', type: 'spki' });
  return { certificates: parse(certificates), publicKey };
}

/**
 * Returns undefined for an unknown key type. This is not an error, because the leaf is then found by other criteria.
 */
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
