import { randomBytes } from 'node:crypto';
import { createFingerprinter } from '../core/fingerprint.ts';
import { SecretValue } from '../core/secret-value.ts';

/** Each role includes the roles before it. */
export const ROLES = ['viewer', 'reviewer', 'operator'] as const;
export type Role = (typeof ROLES)[number];

/** The owner of a valid token. */
export interface Identity {
  /** The name for audit records. */
  readonly name: string;
  /** Checks whether the identity has a role. @throws AppError when the check cannot be made. */
  may(role: Role): Promise<boolean>;
}

export interface Authenticator {
  /**
   * Returns undefined for an unknown token. @throws AppError when the token cannot be checked, such as
   * CLUSTER_UNAVAILABLE.
   */
  identify(token: SecretValue): Promise<Identity | undefined>;
}

/**
 * Returns a digest function with a random key. Its digests are useless outside this process, and equally long for all
 * tokens.
 */
export function createDigest(): (token: SecretValue) => string {
  const fingerprints = createFingerprinter(SecretValue.fromBytes(randomBytes(32)));
  return (token) => fingerprints.value(token);
}
