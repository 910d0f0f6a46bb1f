import { createHash } from 'node:crypto';

/** The key of an advisory lock, as SQL: 64 bits of a hash, since other programs may lock in the same database. */
export function lockKey(name: string): string {
  return createHash('sha256').update(`secretbridge audit ${name}`).digest().readBigInt64BE().toString();
}

/** Of a lock that a replica holds for its life, on the connection that it writes by. */
export function replicaKey(replica: string): string {
  return lockKey(`replica ${replica}`);
}

export function exclusiveKey(name: string): string {
  return lockKey(`exclusive ${name}`);
}
