import type { ErrorKind } from './kind.ts';

/** What was read does not give a Secret that can be written. */
export const DATA = {
  PROPERTY_MISSING: {
    group: 'data',
    remedy: 'fix-config',
    says: 'the value has no such property, or it is null',
    todo: 'Correct the `property`, add it in the store, or mark the source `optional: true`.',
  },
  NOT_AN_OBJECT: {
    group: 'data',
    remedy: 'fix-config',
    says: 'the value is not a JSON object with unique members',
    todo: 'Store a JSON object, or take the value whole, without `property`.',
  },
  DECODE_FAILED: {
    group: 'data',
    remedy: 'fix-config',
    says: 'the value cannot be decoded as asked',
    todo: 'Correct the value in the store, or the `decode` of the source.',
  },
  KEY_INVALID: {
    group: 'data',
    remedy: 'fix-config',
    says: 'Kubernetes does not allow this name as a key of a Secret',
    todo: 'Rename it: `[-._a-zA-Z0-9]`, at most 253 characters, not `.`, `..` or starting with `..`; or set `rename: { invalid: replace }`.',
  },
  KEY_COLLISION: {
    group: 'data',
    remedy: 'fix-config',
    says: 'two sources give the same key',
    todo: 'Give one of them another name, for example with `rename: { prefix: … }`.',
  },
  TEMPLATE_INVALID: {
    group: 'data',
    remedy: 'fix-config',
    says: 'the template cannot be parsed',
    todo: 'Correct the template at the place named.',
  },
  TEMPLATE_FAILED: {
    group: 'data',
    remedy: 'fix-config',
    says: 'the template could not be rendered',
    todo: 'Correct the template at the place named, or the value that it uses.',
  },
  TOO_LARGE: {
    group: 'data',
    remedy: 'fix-config',
    says: 'it is larger than Kubernetes allows',
    todo: 'Split the mapping over several Secrets: one may hold 1 MiB.',
  },
  TLS_MISMATCH: {
    group: 'data',
    remedy: 'fix-config',
    says: 'the certificate and the private key do not parse or do not belong together',
    todo: 'Store a PEM certificate in `tls.crt` and its own PEM key in `tls.key`.',
  },
  TYPE_KEYS_MISSING: {
    group: 'data',
    remedy: 'fix-config',
    says: 'a key that this type of Secret requires is missing or malformed',
    todo: 'Map the required keys, or choose another `type`.',
  },
  TYPE_FORBIDDEN: {
    group: 'data',
    remedy: 'fix-config',
    says: 'Secrets of this type grant access to the cluster and are never written',
    todo: 'Choose another `type`.',
  },
} as const satisfies Record<string, ErrorKind>;
