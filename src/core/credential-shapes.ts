export interface CredentialShape {
  /** Completes the sentence "this looks like …", for example with "a private key". */
  readonly description: string;
  /** A regular expression with the global flag. A match covers only the credential. */
  readonly pattern: RegExp;
}

/**
 * Credentials that can be recognized by their format. The log redacts them, and the configuration must not contain
 * them. Each pattern runs in linear time, because a match can only start at a fixed word or at the start of a run of
 * characters.
 */
export const CREDENTIAL_SHAPES: readonly CredentialShape[] = [
  {
    // PEM, up to its end marker or the end of the string that contains it.
    description: 'a private key',
    pattern:
      /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----(?:[^"-]|-(?!----))*(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----)?/g,
  },
  {
    // Vault and OpenBao. Covers service, batch and recovery tokens in the old and the new format.
    description: 'a Vault token',
    pattern: /(?<![A-Za-z0-9_-])(?:hv[sbr]|[sbr])\.[A-Za-z0-9_-]{20,}/g,
  },
  {
    description: 'an AWS access key ID',
    pattern: /(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9])/g,
  },
  {
    // RFC 7519, signed or unsigned.
    description: 'a JSON Web Token',
    pattern: /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{2,}(?:\.[A-Za-z0-9_-]*){0,3}/g,
  },
  {
    description: 'a GitHub token',
    pattern: /(?<![A-Za-z0-9])(?:gh[oprsu]_[A-Za-z0-9]{30,}|github_pat_\w{30,})/g,
  },
  {
    description: 'a GitLab token',
    pattern: /(?<![A-Za-z0-9])gl(?:pat|dt|rt|cbt|ptt|ft|soat)-[\w-]{20,}/g,
  },
  { description: 'a Slack token', pattern: /(?<![A-Za-z0-9])xox[abeoprs]-[A-Za-z0-9-]{10,}/g },
  { description: 'a Stripe key', pattern: /(?<![A-Za-z0-9])[rs]k_(?:live|test)_[A-Za-z0-9]{16,}/g },
  { description: 'a Google API key', pattern: /(?<![A-Za-z0-9_-])AIza[A-Za-z0-9_-]{35}/g },
  { description: 'an npm token', pattern: /(?<![A-Za-z0-9])npm_[A-Za-z0-9]{36}/g },
  { description: 'a SendGrid key', pattern: /(?<![A-Za-z0-9])SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}/g },
  {
    description: 'an Azure client secret',
    pattern: /(?<![A-Za-z0-9_~.-])[A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{30,}/g,
  },
  { description: 'an Azure account key', pattern: /(?<=AccountKey=)[A-Za-z0-9+/]{40,}={0,2}/g },
];

/** A part of a text that looks like a credential. */
export interface Suspect {
  /** Completes the sentence "this looks like …". */
  readonly description: string;
  readonly fragment: string;
}

/**
 * Shapes for the configuration only, where a person can mark a false positive. In a log, `sk-…` may be the name of a
 * Secret, and ordinary words may follow `Bearer`.
 */
const CONFIG_SHAPES: readonly CredentialShape[] = [
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

/**
 * Public values that may follow a field name that suggests a credential: certificates, public keys, digests, UUIDs,
 * ARNs.
 */
const PUBLIC =
  /-----BEGIN (?:CERTIFICATE|CERTIFICATE REQUEST|X509 CRL|PUBLIC KEY|RSA PUBLIC KEY)-----[^-]*|\b(?:ssh-[a-z0-9]+|ecdsa-[a-z0-9-]+) AAAA[A-Za-z0-9+/=]+|\bsha(?:1|256|384|512)[-:][A-Za-z0-9+/=]+|\bage1[a-z0-9]{58}\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\barn:aws[^\s"',;]*/gi;

/** @param isFreeForm Whether users choose the field names, so that a value after `password:` is a credential. */
export function findSuspects(text: string, isFreeForm = false): readonly Suspect[] {
  if (text.length < 8) return [];
  const suspects: Suspect[] = [];
  // Use `match`, because `matchAll` would compile every expression again for each text.
  for (const { description, pattern } of CONFIG_SHAPES)
    for (const fragment of text.match(pattern) ?? [])
      if (!isMasked(fragment)) suspects.push({ description, fragment });
  const literal = text.includes('{') || text.includes('$') ? text.replace(PLACEHOLDERS, HOLE) : text;
  if (literal.includes('@'))
    for (const [, fragment = ''] of literal.matchAll(USERINFO))
      if (!isPlaceholder(fragment)) suspects.push({ description: 'the password of an address', fragment });
  if (isFreeForm)
    for (const [, fragment = ''] of literal.replace(PUBLIC, ' ').matchAll(ASSIGNED))
      if (!isPlaceholder(fragment) && !isWords(fragment))
        suspects.push({ description: 'a password or key', fragment });
  return suspects;
}

function isPlaceholder(text: string): boolean {
  return (
    text.includes(HOLE) ||
    isMasked(text) ||
    /^[<$%]|^(?:user|username|password|passwd|pass|pw|secret|token|change-?me|example|redacted)$/i.test(text)
  );
}

/** Whether a value is masked, as in `AKIAXXXXXXXXXXXXXXXX`, `********` or `hvs.AAAAAAAA…`. */
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
