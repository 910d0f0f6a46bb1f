import type { X509Certificate } from 'node:crypto';

export interface SortedCertificates {
  /** The leaf, then each issuer after what it issued. Empty only where nothing was given. */
  readonly chain: readonly X509Certificate[];
  /** What has no place in it, as it was given. */
  readonly others: readonly X509Certificate[];
}

type Choice = (it: X509Certificate) => boolean;

/**
 * Puts certificates in order, each once. The leaf is the one of the key, though it may have issued others: best one
 * that has not. Without it, it is one that issued none of the others; of several, the first that is likely, else the
 * first.
 */
export function sortCertificates(
  certificates: readonly X509Certificate[],
  { isOfKey = none, isLikely = none }: { readonly isOfKey?: Choice; readonly isLikely?: Choice } = {},
): SortedCertificates {
  const all = [...new Map(certificates.map((it) => [it.fingerprint256, it])).values()];
  const issuersOf = (it: X509Certificate) => all.filter((other) => other !== it && isIssuer(other, it));
  const issuers = new Map(all.map((it) => [it, issuersOf(it)]));
  const issuing = new Set([...issuers.values()].flat());
  const ends = all.filter((it) => !issuing.has(it));
  const leaves = ends.length === 0 ? all : ends; // two may have issued each other
  const leaf = leaves.find(isOfKey) ?? all.find(isOfKey) ?? leaves.find(isLikely) ?? leaves[0];
  const chain = new Set(leaf === undefined ? [] : [leaf]);
  // A set is iterated in the order of insertion, what is added on the way included.
  for (const it of chain) for (const issuer of issuers.get(it) ?? []) chain.add(issuer);
  return { chain: [...chain], others: all.filter((it) => !chain.has(it)) };
}

const none: Choice = () => false;

/** By its name and by its signature: two authorities may have one name. */
export function isIssuer(issuer: X509Certificate, it: X509Certificate): boolean {
  return it.checkIssued(issuer) && it.verify(issuer.publicKey);
}
