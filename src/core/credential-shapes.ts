export interface CredentialShape {
  /** Completes the sentence "this looks like …", for example with "a private key". */
  readonly description: string;
  /** Has the global flag. A match covers only the credential. */
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
  {
    description: 'an Azure client secret',
    pattern: /(?<![A-Za-z0-9_~.-])[A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{30,}/g,
  },
  { description: 'an Azure account key', pattern: /(?<=AccountKey=)[A-Za-z0-9+/]{40,}={0,2}/g },
];
