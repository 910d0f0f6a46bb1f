import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { sortCertificates } from '../../core/certificate-chain.ts';
import { AppError } from '../../core/errors.ts';
import { codeOf } from '../../core/system-errors.ts';

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const KEY = /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----[^-]+-----END (?:[A-Z]+ )?PRIVATE KEY-----/;

interface ParsedSecret {
  readonly certificates: readonly X509Certificate[];
  /** The public key of the private key next to the certificates, if it can be read. */
  readonly publicKey: KeyObject | undefined;
}

/**
 * The certificates in the secret behind a certificate object, as PEM. The certificate of the private key comes first,
 * then the issuer of each certificate, then unrelated certificates.
 * @param contentType `application/x-pem-file` or `application/x-pkcs12`; the latter is base64.
 * @throws AppError DECODE_FAILED
 */
export async function chainOf(text: string, contentType: string | undefined): Promise<string> {
  const { certificates, publicKey } = text.includes('-----BEGIN ')
    ? fromPem(text)
    : await fromPkcs12(text, contentType);
  if (certificates.length === 0) throw undecodable();
  const { chain, others } = sortCertificates(certificates, {
    isOfKey: (x509Certificate) => publicKey?.equals(x509Certificate.publicKey) === true,
    // The order in a PKCS#12 file has no meaning. A file with a missing issuer may start with the root.
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

/** Without a public key, the leaf is found by other criteria, so an unknown key type is not an error. */
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
