import { CREDENTIAL_SHAPES, type CredentialShape } from '../../core/credential-shapes.ts';

/** A part of a text that looks like a credential. */
export interface Suspect {
  /** "a private key": completes "this looks like …". */
  readonly what: string;
  readonly fragment: string;
}

/**
 * In a log `sk-…` may be the name of a Secret, and words may follow `Bearer`; here a person can say that it is no
 * credential.
 */
const SHAPES: readonly CredentialShape[] = [
  ...CREDENTIAL_SHAPES,
  { what: 'an API key', pattern: /(?<![A-Za-z0-9_-])sk-[A-Za-z0-9_-]{32,}/g },
  { what: 'a bearer token', pattern: /(?<=\bBearer )[A-Za-z0-9._~+/-]{16,}=*/gi },
];

/** The userinfo of an address, RFC 3986: what stands behind the colon. */
const USERINFO = /:\/\/[^\s"'/@:\\]*:([^\s"'/@\\]+)@/g;

/** `password=…`, `"apiKey": "…"`: a name that ends so, and a value. */
const ASSIGNED =
  /(?<![\w.-])["']?[\w.-]{0,100}(?:passw(?:or)?d|passphrase|pwd|secret|token|api[-_]?key|(?:access|secret|private|account)[-_]?key|credentials?)["']?[ \t]*[:=][ \t]*["']?([^\s"',;&<>{}]{6,200})/gi;

/** What Liquid, shells and charts put in later is no literal. */
const PLACEHOLDERS = /\{\{[^{}]*\}\}|\{%[^%]*%\}|\$\{[^${}]*\}|\$\([^$()]*\)/g;
const HOLE = '\u0001';

export interface Where {
  /** Random text may be an identifier there: only what has a known shape counts. */
  readonly isName?: boolean;
  /** People choose what stands there, so that `password: …` in it means what it says. */
  readonly isFree?: boolean;
}

export function suspectsIn(text: string, { isName = false, isFree = false }: Where = {}): readonly Suspect[] {
  if (text.length < 8) return [];
  const found: Suspect[] = [];
  // `matchAll` would make each expression anew, for each text.
  for (const { what, pattern } of SHAPES)
    for (const fragment of text.match(pattern) ?? []) if (!isMasked(fragment)) found.push({ what, fragment });
  const literal = text.includes('{') || text.includes('$') ? text.replace(PLACEHOLDERS, HOLE) : text;
  if (literal.includes('@'))
    for (const [, fragment = ''] of literal.matchAll(USERINFO))
      if (!isPlaceholder(fragment)) found.push({ what: 'the password of an address', fragment });
  if (isFree)
    for (const [, fragment = ''] of literal.replace(PUBLIC, ' ').matchAll(ASSIGNED))
      if (!isPlaceholder(fragment) && !isWords(fragment)) found.push({ what: 'a password or key', fragment });
  if (!isName && found.length === 0)
    for (const fragment of randomParts(text))
      found.push({ what: 'a credential: text as if by chance', fragment });
  return found;
}

function isPlaceholder(text: string): boolean {
  return (
    text.includes(HOLE) ||
    isMasked(text) ||
    /^[<$%]|^(?:user|username|password|passwd|pass|pw|secret|token|change-?me|example|redacted)$/i.test(text)
  );
}

/** `AKIAXXXXXXXXXXXXXXXX`, `********`, `hvs.AAAAAAAA…`: a place for one. */
function isMasked(text: string): boolean {
  return /([xX*.A0-])\1{7}/.test(text) || /^([\s\S])\1*$/.test(text);
}

/** Names, paths, addresses, versions, heads of sections: `payments-db-2`, `/run/secrets/token`, `file:///x`, `[default]`. */
function isWords(text: string): boolean {
  // `credentials: |` before a file of AWS, whose first line is a head, maybe with a blank in it.
  const words = text.replace(/^\[([^\][]+)\]?$/, '$1').split(/[-_./:@~]+/);
  return (
    text.includes('://') || words.every((word) => /^(?:[A-Za-z]*(?:\d{1,3}[A-Za-z]?)?|\d{1,5})$/.test(word))
  );
}

/** Public by their nature, and random to look at: certificates, public keys, digests, UUIDs, ARNs. */
const PUBLIC =
  /-----BEGIN (?:CERTIFICATE|CERTIFICATE REQUEST|X509 CRL|PUBLIC KEY|RSA PUBLIC KEY)-----[^-]*|\b(?:ssh-[a-z0-9]+|ecdsa-[a-z0-9-]+) AAAA[A-Za-z0-9+/=]+|\bsha(?:1|256|384|512)[-:][A-Za-z0-9+/=]+|\bage1[a-z0-9]{58}\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\barn:aws[^\s"',;]*/gi;

/** Runs that no person would think of. Digests and ids (hexadecimal, UUID, ULID) are not meant. */
function randomParts(text: string): readonly string[] {
  if (text.length < 20) return [];
  const candidates = text.replace(PUBLIC, ' ').match(/[A-Za-z0-9+/_=~-]{20,}/g) ?? [];
  return candidates.filter((candidate) => {
    const parts = candidate.split(/[^A-Za-z0-9]+/);
    if (parts.some((part) => isRandom(part))) return true;
    // Base64 of both kinds has signs within; paths and names with a random end have words.
    const rest = parts.filter((part) => !isHex(part) && !(part.length >= 4 && share(part) < 0.3)).join('');
    return candidate.length >= 32 && rest.length >= 24 && isRandom(rest, 0.45);
  });
}

function isHex(text: string): boolean {
  return /^[0-9a-f]+$/i.test(text);
}

/**
 * Names are words: the kind of character (small, capital, digit) changes where a word begins. By chance it changes
 * nearly every second time, and few characters come twice.
 */
function isRandom(text: string, leastChanges = 0.4): boolean {
  if (text.length < 20 || isHex(text) || ULID.test(text)) return false;
  const kinds = [/[a-z]/, /[A-Z]/, /\d/].filter((kind) => kind.test(text)).length;
  const digits = text.replace(/\D/g, '').length;
  if (kinds < 2 || digits === 0) return false;
  if (kinds === 3) return share(text) >= leastChanges && bitsOf(text) >= 3.6;
  const least = text.length < 32 ? 0.26 : 0.22;
  return text.length >= 24 && digits >= 4 && share(text) >= least && bitsOf(text) >= 3.8;
}

/** https://github.com/ulid/spec */
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/i;

/** Of neighbours that are of different kinds. */
function share(text: string): number {
  const kinds = text.replace(/[a-z]/g, 'a').replace(/[A-Z]/g, 'A').replace(/\d/g, '0');
  let changes = 0;
  for (let index = 1; index < kinds.length; index++) if (kinds[index] !== kinds[index - 1]) changes++;
  return changes / (text.length - 1);
}

/** Shannon's entropy of the characters, in bits for each. */
function bitsOf(text: string): number {
  const counts = new Map<string, number>();
  for (const char of text) counts.set(char, (counts.get(char) ?? 0) + 1);
  return [...counts.values()].reduce(
    (sum, count) => sum - (count / text.length) * Math.log2(count / text.length),
    0,
  );
}
