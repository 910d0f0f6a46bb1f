import { createHash } from 'node:crypto';

/**
 * The SQL expression for the key of an advisory lock. The key is 64 bits of a hash, because other programs may use
 * advisory locks in the same database.
 */
export function lockKey(name: string): string {
  return createHash('sha256').update(`secretbridge audit ${name}`).digest().readBigInt64BE().toString();
}

/** The lock that a replica holds on its write connection while it runs. */
export function replicaKey(replica: string): string {
  return lockKey(`replica ${replica}`);
}

export function exclusiveKey(name: string): string {
  return lockKey(`exclusive ${name}`);
}
