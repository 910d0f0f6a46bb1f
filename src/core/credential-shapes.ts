export interface CredentialShape {
  /** "a private key": completes "this looks like …". */
  readonly what: string;
  /** Global. Matches the credential alone. */
  readonly pattern: RegExp;
}

/**
 * Credentials that show what they are, wherever they stand: what the log hides and the configuration must not hold.
 * Each expression takes time in proportion to the text: a match begins at a fixed word or where a run of its
 * characters begins, so no text is looked at twice for two beginnings.
 */
export const CREDENTIAL_SHAPES: readonly CredentialShape[] = [
  {
    // PEM, to its end or to the end of the string that it stands in.
    what: 'a private key',
    pattern:
      /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----(?:[^"-]|-(?!----))*(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----)?/g,
  },
  {
    // Of OpenBao as well: service, batch and recovery tokens, in the new and the old form.
    what: 'a token of Vault',
    pattern: /(?<![A-Za-z0-9_-])(?:hv[sbr]|[sbr])\.[A-Za-z0-9_-]{20,}/g,
  },
  {
    what: 'an access key id of AWS',
    pattern: /(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9])/g,
  },
  {
    // RFC 7519, signed or not.
    what: 'a JSON Web Token',
    pattern: /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{2,}(?:\.[A-Za-z0-9_-]*){0,3}/g,
  },
  {
    what: 'a token of GitHub',
    pattern: /(?<![A-Za-z0-9])(?:gh[oprsu]_[A-Za-z0-9]{30,}|github_pat_\w{30,})/g,
  },
  {
    what: 'a token of GitLab',
    pattern: /(?<![A-Za-z0-9])gl(?:pat|dt|rt|cbt|ptt|ft|soat)-[\w-]{20,}/g,
  },
  { what: 'a token of Slack', pattern: /(?<![A-Za-z0-9])xox[abeoprs]-[A-Za-z0-9-]{10,}/g },
  { what: 'a key of Stripe', pattern: /(?<![A-Za-z0-9])[rs]k_(?:live|test)_[A-Za-z0-9]{16,}/g },
  { what: 'a key of Google', pattern: /(?<![A-Za-z0-9_-])AIza[A-Za-z0-9_-]{35}/g },
  { what: 'a token of npm', pattern: /(?<![A-Za-z0-9])npm_[A-Za-z0-9]{36}/g },
  {
    what: 'a client secret of Azure',
    pattern: /(?<![A-Za-z0-9_~.-])[A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{30,}/g,
  },
  { what: 'an account key of Azure', pattern: /(?<=AccountKey=)[A-Za-z0-9+/]{40,}={0,2}/g },
];
