import { createHash } from 'node:crypto';

// Creates the two names of a merge: its field manager and its annotation. Both must fit the limits of the API server.

/** The API server allows 128 bytes: https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers */
const MAX_MANAGER = 128;

export function mergeManager(instance: string, mapping: string): string {
  const name = `secretbridge.${instance}.${mapping}`;
  return name.length <= MAX_MANAGER ? name : `secretbridge.${digest(instance, mapping)}`;
}

export const ANNOTATION_PREFIX = 'secretbridge.dev/merge-';

/**
 * The annotation name for one mapping. It contains a hash, because two names of 63 characters would exceed the limit.
 */
export function mergeAnnotation(instance: string, mapping: string): string {
  return `${ANNOTATION_PREFIX}${digest(instance, mapping).slice(0, 16)}`;
}

function digest(instance: string, mapping: string): string {
  return createHash('sha256')
    .update(JSON.stringify([instance, mapping]))
    .digest('hex');
}
