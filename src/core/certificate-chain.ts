import type { X509Certificate } from 'node:crypto';

export interface SortedCertificates {
  /** The leaf certificate, followed by its issuer, the issuer's issuer and so on. Empty only if the input is empty. */
  readonly chain: readonly X509Certificate[];
  /** Certificates that do not belong to the chain, in input order. */
  readonly others: readonly X509Certificate[];
}

type CertificatePredicate = (x509Certificate: X509Certificate) => boolean;

/**
 * Sorts certificates into a chain and removes duplicates. The leaf is the certificate that matches the private key; if
 * several do, one that issued no other certificate. Without a matching certificate, the leaf is chosen among the
 * certificates that issued no other one: a preferred one if possible, otherwise the first.
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
  const leafCandidates = nonIssuers.length === 0 ? all : nonIssuers; // two certificates can have issued each other
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
