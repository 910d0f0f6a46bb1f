import { CREDENTIAL_SHAPES, type CredentialShape } from '../../core/credential-shapes.ts';

/** A part of a text that looks like a credential. */
export interface Suspect {
  /** Completes the sentence "this looks like …", for example with "a private key". */
  readonly description: string;
  readonly fragment: string;
}

/**
 * Credential patterns. The last two apply only to configurations, where a person can mark a false positive. In a log,
 * `sk-…` may be the name of a Secret, and ordinary words may follow `Bearer`.
 */
const SHAPES: readonly CredentialShape[] = [
  ...CREDENTIAL_SHAPES,
  { description: 'an API key', pattern: /(?<![A-Za-z0-9_-])sk-[A-Za-z0-9_-]{32,}/g },
  { description: 'a bearer token', pattern: /(?<=\bBearer )[A-Za-z0-9._~+/-]{16,}=*/gi },
];

/** The password in the userinfo of a URL, as in RFC 3986. */
const USERINFO = /:\/\/[^\s"'/@:\\]*:([^\s"'/@\\]+)@/g;

/** A field name that suggests a credential, followed by a value: `password=…`, `"apiKey": "…"`. */
const ASSIGNED =
  /(?<![\w.-])["']?[\w.-]{0,100}(?:passw(?:or)?d|passphrase|pwd|secret|token|api[-_]?key|(?:access|secret|private|account)[-_]?key|credentials?)["']?[ \t]*[:=][ \t]*["']?([^\s"',;&<>{}]{6,200})/gi;

/** Placeholders of Liquid, shells and charts are not literal values. */
const PLACEHOLDERS = /\{\{[^{}]*\}\}|\{%[^%]*%\}|\$\{[^${}]*\}|\$\([^$()]*\)/g;
const HOLE = '\u0001';

export interface TextContext {
  /** Set for fields that may contain random identifiers, so that only known credential formats count. */
  readonly isName?: boolean;
  /** Set for free-form fields, so that a value after `password:` counts as a credential. */
  readonly isFree?: boolean;
}

export function findSuspects(
  text: string,
  { isName = false, isFree = false }: TextContext = {},
): readonly Suspect[] {
  if (text.length < 8) return [];
  const suspects: Suspect[] = [];
  // Use `match`, because `matchAll` would compile every expression again for each text.
  for (const { description, pattern } of SHAPES)
    for (const fragment of text.match(pattern) ?? [])
      if (!isMasked(fragment)) suspects.push({ description, fragment });
  const literal = text.includes('{') || text.includes('$') ? text.replace(PLACEHOLDERS, HOLE) : text;
  if (literal.includes('@'))
    for (const [, fragment = ''] of literal.matchAll(USERINFO))
      if (!isPlaceholder(fragment)) suspects.push({ description: 'the password of an address', fragment });
  if (isFree)
    for (const [, fragment = ''] of literal.replace(PUBLIC, ' ').matchAll(ASSIGNED))
      if (!isPlaceholder(fragment) && !isWords(fragment))
        suspects.push({ description: 'a password or key', fragment });
  if (!isName && suspects.length === 0)
    for (const fragment of randomParts(text))
      suspects.push({ description: 'a credential: random text', fragment });
  return suspects;
}

function isPlaceholder(text: string): boolean {
  return (
    text.includes(HOLE) ||
    isMasked(text) ||
    /^[<$%]|^(?:user|username|password|passwd|pass|pw|secret|token|change-?me|example|redacted)$/i.test(text)
  );
}

/** Masked values: `AKIAXXXXXXXXXXXXXXXX`, `********`, `hvs.AAAAAAAA…`. */
function isMasked(text: string): boolean {
  return /([xX*.A0-])\1{7}/.test(text) || /^([\s\S])\1*$/.test(text);
}

/**
 * Whether a text consists of words, as in names, paths, addresses, versions and section headers: `payments-db-2`,
 * `/run/secrets/token`, `file:///x`, `[default]`.
 */
function isWords(text: string): boolean {
  // `credentials: |` may be followed by an AWS credentials file, which starts with a section header such as
  // `[default]`.
  const words = text.replace(/^\[([^\][]+)\]?$/, '$1').split(/[-_./:@~]+/);
  return (
    text.includes('://') || words.every((word) => /^(?:[A-Za-z]*(?:\d{1,3}[A-Za-z]?)?|\d{1,5})$/.test(word))
  );
}

/** Public values that look random: certificates, public keys, digests, UUIDs, ARNs. */
const PUBLIC =
  /-----BEGIN (?:CERTIFICATE|CERTIFICATE REQUEST|X509 CRL|PUBLIC KEY|RSA PUBLIC KEY)-----[^-]*|\b(?:ssh-[a-z0-9]+|ecdsa-[a-z0-9-]+) AAAA[A-Za-z0-9+/=]+|\bsha(?:1|256|384|512)[-:][A-Za-z0-9+/=]+|\bage1[a-z0-9]{58}\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\barn:aws[^\s"',;]*/gi;

/** Parts that look random. Digests and ids (hexadecimal, UUID, ULID) do not count. */
function randomParts(text: string): readonly string[] {
  if (text.length < 20) return [];
  const candidates = text.replace(PUBLIC, ' ').match(/[A-Za-z0-9+/_=~-]{20,}/g) ?? [];
  return candidates.filter((candidate) => {
    const parts = candidate.split(/[^A-Za-z0-9]+/);
    if (parts.some((part) => isRandom(part))) return true;
    // A base64 value can contain symbols, so also test it as a whole. Leave out words and hexadecimal parts, which
    // occur in paths and in names with a random suffix.
    const rest = parts
      .filter((part) => !isHex(part) && !(part.length >= 4 && changeRate(part) < 0.3))
      .join('');
    return candidate.length >= 32 && rest.length >= 24 && isRandom(rest, 0.45);
  });
}

function isHex(text: string): boolean {
  return /^[0-9a-f]+$/i.test(text);
}

/**
 * Whether text looks random. In names made of words, the character class (lower, upper, digit) changes only at word
 * boundaries. In random text it changes at nearly every second character, and characters rarely repeat.
 */
function isRandom(text: string, minChanges = 0.4): boolean {
  if (text.length < 20 || isHex(text) || ULID.test(text)) return false;
  const kinds = [/[a-z]/, /[A-Z]/, /\d/].filter((kind) => kind.test(text)).length;
  const digits = text.replace(/\D/g, '').length;
  if (kinds < 2 || digits === 0) return false;
  if (kinds === 3) return changeRate(text) >= minChanges && entropyOf(text) >= 3.6;
  const minChangeRate = text.length < 32 ? 0.26 : 0.22;
  return text.length >= 24 && digits >= 4 && changeRate(text) >= minChangeRate && entropyOf(text) >= 3.8;
}

/** https://github.com/ulid/spec */
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/i;

/** The share of adjacent characters whose classes differ. */
function changeRate(text: string): number {
  const kinds = text.replace(/[a-z]/g, 'a').replace(/[A-Z]/g, 'A').replace(/\d/g, '0');
  let changes = 0;
  for (let index = 1; index < kinds.length; index++) if (kinds[index] !== kinds[index - 1]) changes++;
  return changes / (text.length - 1);
}

/** Shannon entropy of the characters, in bits per character. */
function entropyOf(text: string): number {
  const counts = new Map<string, number>();
  for (const char of text) counts.set(char, (counts.get(char) ?? 0) + 1);
  return [...counts.values()].reduce(
    (sum, count) => sum - (count / text.length) * Math.log2(count / text.length),
    0,
  );
}
