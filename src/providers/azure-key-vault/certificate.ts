import {
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  type PrivateKeyInput,
  type X509Certificate,
} from 'node:crypto';
import { certificatesIn, PemError, pemBlocks, sortCertificates } from '../../core/certificates.ts';
import { AppError } from '../../core/errors.ts';
import { codeOf } from '../../core/system-errors.ts';

interface ParsedSecret {
  readonly certificates: readonly X509Certificate[];
  /**
   * The public key of the private key that is stored with the certificates. Undefined if no private key is stored or it
   * cannot be read.
   */
  readonly publicKey: KeyObject | undefined;
}

/**
 * Returns the certificates of a certificate object as PEM. The certificates come from the secret that belongs to this
 * object. The certificate of the private key comes first, then its chain of issuers, and then unrelated certificates.
 * @param text The text of the secret.
 * @param contentType `application/x-pem-file` or `application/x-pkcs12`. The text of the latter is base64.
 * @throws AppError DECODE_FAILED
 */
export async function chainOf(text: string, contentType: string | undefined): Promise<string> {
  const { certificates, publicKey } = text.includes('-----BEGIN ')
    ? fromPem(text)
    : await fromPkcs12(text, contentType);
  if (certificates.length === 0) throw undecodable();
  const { chain, others } = sortCertificates(certificates, {
    isOfKey: (x509Certificate) => publicKey?.equals(x509Certificate.publicKey) === true,
    // As the first certificate, prefer one that is not an authority. The order in a PKCS#12 file means nothing, and a
    // file with a missing issuer may start with the root.
    isLikely: ({ ca }) => !ca,
  });
  return [...chain, ...others].map((certificate) => certificate.toString()).join('');
}

function fromPem(text: string): ParsedSecret {
  try {
    const key = pemBlocks(text).find(({ label }) => label.endsWith('PRIVATE KEY'));
    return { certificates: certificatesIn(text), publicKey: key && publicOf(key.text) };
  } catch (error) {
    if (error instanceof PemError) throw undecodable();
    throw error;
  }
}

/** Reads a PKCS#12 file without a password, because Key Vault sets none. */
async function fromPkcs12(text: string, contentType: string | undefined): Promise<ParsedSecret> {
  if (contentType !== 'application/x-pkcs12' && !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw undecodable();
  const { Pkcs12Error, readPkcs12 } = await import('../../core/pkcs12.ts');
  try {
    const { certificates, keys } = readPkcs12(Buffer.from(text, 'base64'), '');
    const [key] = keys;
    return { certificates, publicKey: key && publicOf({ key, format: 'der', type: 'pkcs8' }) };
  } catch (error) {
    if (!(error instanceof Pkcs12Error)) throw error;
    if (error.reason !== 'too-costly') throw undecodable();
    throw new AppError('DECODE_FAILED', { detail: 'reading its PKCS#12 needs too much time or memory' });
  }
}

/**
 * Returns undefined for an unknown type of key. This is no error, because the first certificate can be found without
 * the key.
 */
function publicOf(privateKey: string | PrivateKeyInput): KeyObject | undefined {
  try {
    return createPublicKey(createPrivateKey(privateKey));
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return undefined;
  }
}

function undecodable(): AppError {
  return new AppError('DECODE_FAILED', { detail: 'it holds no certificate in PEM or PKCS#12' });
}
