import { createHash } from 'node:crypto';

/**
 * The key of an advisory lock, as SQL. It is 64 bits of a hash, because other programs may use locks in the same
 * database.
 */
export function lockKey(name: string): string {
  return createHash('sha256').update(`secretbridge audit ${name}`).digest().readBigInt64BE().toString();
}

/** The lock that a replica holds on its write connection as long as it runs. */
export function replicaKey(replica: string): string {
  return lockKey(`replica ${replica}`);
}

export function exclusiveKey(name: string): string {
  return lockKey(`exclusive ${name}`);
}
