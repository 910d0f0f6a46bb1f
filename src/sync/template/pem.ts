import { X509Certificate } from 'node:crypto';
import { isIssuer, sortCertificates } from '../../core/certificate-chain.ts';

/** One PEM block (RFC 7468), with LF line ends. */
export interface PemBlock {
  readonly label: string;
  readonly text: string;
}

/** The message names the faulty part without its contents. */
export class PemError extends Error {}

const BEGIN = '-----BEGIN ';
const DASHES = '-----';
/** Limited, because sorting compares all pairs of certificates. */
const MAX_CERTIFICATES = 100;
const CERTIFICATE_LABELS: readonly string[] = ['CERTIFICATE', 'X509 CERTIFICATE'];

/** Text between blocks is ignored, as RFC 7468 specifies. */
function pemBlocks(text: string): readonly PemBlock[] {
  const blocks: PemBlock[] = [];
  let block: { label: string; lines: string[] } | undefined;
  for (const raw of text.split(/\r\n|\n|\r/)) {
    const line = raw.trim();
    if (block === undefined) {
      if (line.startsWith(BEGIN) && line.endsWith(DASHES))
        block = { label: line.slice(BEGIN.length, -DASHES.length), lines: [line] };
      continue;
    }
    block.lines.push(line);
    if (line !== `-----END ${block.label}${DASHES}`) continue;
    blocks.push({ label: block.label, text: `${block.lines.join('\n')}\n` });
    block = undefined;
  }
  if (block !== undefined) throw new PemError('a PEM block has no end');
  return blocks;
}

/** Returns the certificates in the order of the text. */
export function certificatesIn(text: string): readonly X509Certificate[] {
  const blocks = pemBlocks(text).filter(({ label }) => CERTIFICATE_LABELS.includes(label));
  if (blocks.length === 0) throw new PemError('there is no PEM certificate');
  if (blocks.length > MAX_CERTIFICATES)
    throw new PemError(`there are more than ${MAX_CERTIFICATES} certificates`);
  return blocks.map((block, index) => parse(block.text, index + 1));
}

function parse(text: string, number: number): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch (cause) {
    // OpenSSL throws errors of many classes. Each of them means that this block is not a certificate.
    if (!(cause instanceof Error)) throw cause;
    throw new PemError(`certificate ${number} does not parse`, { cause });
  }
}

/** Returns the only private key in a text, unchanged. */
export function privateKeyIn(text: string): string {
  const keys = pemBlocks(text).filter(({ label }) => label.endsWith('PRIVATE KEY'));
  const [key] = keys;
  if (key === undefined) throw new PemError('there is no PEM private key');
  if (keys.length > 1) throw new PemError('there is more than one PEM private key');
  return key.text;
}

/**
 * Sorts a chain, leaf first, and removes duplicates. The leaf is the only certificate that issued none of the others. A
 * certificate that does not belong to the chain is an error.
 */
export function chainOrder(certificates: readonly X509Certificate[]): readonly X509Certificate[] {
  const { chain, others } = sortCertificates(certificates);
  const [leaf, ...issuers] = chain;
  const isChain =
    leaf !== undefined &&
    others.length === 0 &&
    !issuers.some((x509Certificate) => isIssuer(leaf, x509Certificate));
  if (!isChain) throw new PemError('the certificates are not one chain');
  return chain;
}

/** Whether the certificate is its own issuer. */
export function isSelfSigned(x509Certificate: X509Certificate): boolean {
  return isIssuer(x509Certificate, x509Certificate);
}
