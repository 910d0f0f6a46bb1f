import {
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  type PrivateKeyInput,
  type X509Certificate,
} from 'node:crypto';
import { certificatesIn, PemError, pemBlocks, sortCertificates } from '../../core/certificates.ts';
import { AppError } from '../../core/errors.ts';
import { Pkcs12Error, readPkcs12 } from '../../core/pkcs12.ts';
import { codeOf } from '../../core/system-errors.ts';
import { defineTask, workerThread } from '../../core/worker-thread.ts';

interface ParsedSecret {
  readonly certificates: readonly X509Certificate[];
  /**
   * The public key of the private key that is stored with the certificates. Undefined if no private key is stored or it
   * cannot be read.
   */
  readonly publicKey: KeyObject | undefined;
}

interface ChainInput {
  readonly text: string;
  readonly contentType: string | undefined;
  /** The number of key derivation iterations, if they are limited. */
  readonly maxIterations?: number;
}

/** `costly`: reading needs more iterations than allowed. */
type ChainOutput =
  | { readonly kind: 'chain'; readonly pem: string }
  | { readonly kind: 'undecodable' | 'costly' };

/** A secret up to these limits is read in the main thread. */
const SMALL = { length: 16 * 1024, maxIterations: 10_000 };
/** The processor time for one certificate. */
const READ_MS = 1_000;

/**
 * Returns the certificates of a certificate object as PEM. The certificates come from the secret that belongs to this
 * object. The certificate of the private key comes first, then its chain of issuers, and then unrelated certificates.
 * @param text The text of the secret.
 * @param contentType `application/x-pem-file` or `application/x-pkcs12`. The text of the latter is base64.
 * @throws AppError DECODE_FAILED
 */
export async function chainOf(text: string, contentType: string | undefined): Promise<string> {
  const input: ChainInput = { text, contentType };
  const { maxIterations } = SMALL;
  let output: ChainOutput =
    text.length <= SMALL.length ? readChain({ ...input, maxIterations }) : { kind: 'costly' };
  if (output.kind === 'costly') {
    const result = await workerThread.run(READ_CHAIN, input, { group: 'certificates', timeMs: READ_MS });
    output = result.kind === 'done' ? result.output : { kind: 'costly' };
  }
  if (output.kind === 'chain') return output.pem;
  throw new AppError('DECODE_FAILED', {
    detail:
      output.kind === 'costly'
        ? 'reading its certificates needs too much time or memory'
        : 'it holds no certificate in PEM or PKCS#12',
  });
}

export function readChain({ text, contentType, maxIterations }: ChainInput): ChainOutput {
  const parsed = text.includes('-----BEGIN ') ? fromPem(text) : fromPkcs12(text, contentType, maxIterations);
  if (typeof parsed === 'string') return { kind: parsed };
  const { certificates, publicKey } = parsed;
  if (certificates.length === 0) return { kind: 'undecodable' };
  const { chain, others } = sortCertificates(certificates, {
    isOfKey: (x509Certificate) => publicKey?.equals(x509Certificate.publicKey) === true,
    // As the first certificate, prefer one that is not an authority. The order in a PKCS#12 file means nothing, and a
    // file with a missing issuer may start with the root.
    isLikely: ({ ca }) => !ca,
  });
  return { kind: 'chain', pem: [...chain, ...others].map((certificate) => certificate.toString()).join('') };
}

const READ_CHAIN = defineTask(import.meta.url, readChain);

function fromPem(text: string): ParsedSecret | 'undecodable' {
  try {
    const key = pemBlocks(text).find(({ label }) => label.endsWith('PRIVATE KEY'));
    return { certificates: certificatesIn(text), publicKey: key && publicOf(key.text) };
  } catch (error) {
    if (error instanceof PemError) return 'undecodable';
    throw error;
  }
}

class TooManyIterations extends Error {}

/** Reads a PKCS#12 file without a password, because Key Vault sets none. */
function fromPkcs12(
  text: string,
  contentType: string | undefined,
  maxIterations = Number.POSITIVE_INFINITY,
): ParsedSecret | 'undecodable' | 'costly' {
  if (contentType !== 'application/x-pkcs12' && !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return 'undecodable';
  let total = 0;
  const count = (iterations: number): void => {
    total += iterations;
    if (total > maxIterations) throw new TooManyIterations();
  };
  try {
    const { certificates, keys } = readPkcs12(Buffer.from(text, 'base64'), '', count);
    const [key] = keys;
    return { certificates, publicKey: key && publicOf({ key, format: 'der', type: 'pkcs8' }) };
  } catch (error) {
    if (!(error instanceof Pkcs12Error)) throw error;
    const isCostly = error.reason === 'too-costly' || error.cause instanceof TooManyIterations;
    return isCostly ? 'costly' : 'undecodable';
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
