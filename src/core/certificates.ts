import { X509Certificate } from 'node:crypto';

export interface SortedCertificates {
  /** The leaf certificate, followed by its issuer, the issuer's issuer and so on. Empty only if the input is empty. */
  readonly chain: readonly X509Certificate[];
  /** Certificates that do not belong to the chain, in input order. */
  readonly others: readonly X509Certificate[];
}

type CertificatePredicate = (x509Certificate: X509Certificate) => boolean;

/**
 * Sorts certificates into a chain and removes duplicates. The leaf is the certificate that matches the private key. If
 * several certificates match, the leaf is one that issued no other certificate. If none matches, the leaf is chosen
 * among the certificates that issued no other one: a preferred certificate if possible, otherwise the first.
 */
export function sortCertificates(
  certificates: readonly X509Certificate[],
  {
    isOfKey: matchesKey = never,
    isLikely: isPreferredLeaf = never,
  }: { readonly isOfKey?: CertificatePredicate; readonly isLikely?: CertificatePredicate } = {},
): SortedCertificates {
  const all = [
    ...new Map(
      certificates.map((x509Certificate) => [x509Certificate.fingerprint256, x509Certificate]),
    ).values(),
  ];
  const issuersOf = (x509Certificate: X509Certificate) =>
    all.filter((other) => other !== x509Certificate && isIssuer(other, x509Certificate));
  const issuers = new Map(all.map((x509Certificate) => [x509Certificate, issuersOf(x509Certificate)]));
  const issuerSet = new Set([...issuers.values()].flat());
  const nonIssuers = all.filter((x509Certificate) => !issuerSet.has(x509Certificate));
  const leafCandidates = nonIssuers.length === 0 ? all : nonIssuers; // two certificates can have issued each other, so every certificate may be an issuer
  const leaf =
    leafCandidates.find(matchesKey) ??
    all.find(matchesKey) ??
    leafCandidates.find(isPreferredLeaf) ??
    leafCandidates[0];
  const chain = new Set(leaf === undefined ? [] : [leaf]);
  // The loop also visits the issuers that it adds to the set.
  for (const x509Certificate of chain)
    for (const issuer of issuers.get(x509Certificate) ?? []) chain.add(issuer);
  return { chain: [...chain], others: all.filter((x509Certificate) => !chain.has(x509Certificate)) };
}

const never: CertificatePredicate = () => false;

/** Checks the name and the signature, because two authorities may have the same name. */
export function isIssuer(issuer: X509Certificate, x509Certificate: X509Certificate): boolean {
  return x509Certificate.checkIssued(issuer) && x509Certificate.verify(issuer.publicKey);
}

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
export function pemBlocks(text: string): readonly PemBlock[] {
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
