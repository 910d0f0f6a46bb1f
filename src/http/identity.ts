import { randomBytes } from 'node:crypto';
import { createFingerprinter } from '../core/fingerprint.ts';
import { SecretValue } from '../core/secret-value.ts';

/** Each may do what those before it may. */
export const ROLES = ['viewer', 'reviewer', 'operator'] as const;
export type Role = (typeof ROLES)[number];

/** Somebody who holds a valid token. */
export interface Identity {
  /** For the audit. */
  readonly name: string;
  /** @throws AppError when it cannot be found out. */
  may(role: Role): Promise<boolean>;
}

export interface Authenticator {
  /** `undefined`: nobody whom we know. @throws AppError when it cannot be found out, CLUSTER_UNAVAILABLE and the like. */
  identify(token: SecretValue): Promise<Identity | undefined>;
}

/** A name for a token that is of no use outside of this process, and of one length whatever the token's is. */
export function createDigest(): (token: SecretValue) => string {
  const fingerprints = createFingerprinter(SecretValue.fromBytes(randomBytes(32)));
  return (token) => fingerprints.value(token);
}
