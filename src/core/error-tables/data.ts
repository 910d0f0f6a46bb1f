/** Errors in source values. They prevent a Secret from being written. */
export const DATA = {
  PROPERTY_MISSING: {
    group: 'data',
    category: 'fix-config',
    message: 'the value has no such property, or the property is null',
    remedy: 'Correct `property`, add the property in the store, or mark the source as `optional: true`.',
  },
  NOT_AN_OBJECT: {
    group: 'data',
    category: 'fix-config',
    message: 'the value is not a JSON object with unique members',
    remedy: 'Store a JSON object, or use the whole value without `property`.',
  },
  DECODE_FAILED: {
    group: 'data',
    category: 'fix-config',
    message: 'the value cannot be decoded',
    remedy: 'Correct the value in the store, or `decode` of the source.',
  },
  KEY_INVALID: {
    group: 'data',
    category: 'fix-config',
    message: 'Kubernetes does not allow this name as a key of a Secret',
    remedy:
      'Rename it: allowed are `[-._a-zA-Z0-9]`, at most 253 characters, but not `.`, `..` or a name that starts with `..`. Or set `rename: { invalid: replace }`.',
  },
  KEY_COLLISION: {
    group: 'data',
    category: 'fix-config',
    message: 'two sources produce the same key',
    remedy: 'Give one of them another name, for example with `rename: { prefix: … }`.',
  },
  TEMPLATE_INVALID: {
    group: 'data',
    category: 'fix-config',
    message: 'the template cannot be parsed',
    remedy: 'Correct the template at the position in the message.',
  },
  TEMPLATE_FAILED: {
    group: 'data',
    category: 'fix-config',
    message: 'the template cannot be rendered',
    remedy: 'Correct the template at the position in the message, or the value that the template uses.',
  },
  TOO_LARGE: {
    group: 'data',
    category: 'fix-config',
    message: 'the data is larger than Kubernetes allows',
    remedy: 'Split the mapping into several Secrets. A Secret can hold 1 MiB.',
  },
  TLS_MISMATCH: {
    group: 'data',
    category: 'fix-config',
    message: 'the certificate or the private key cannot be parsed, or they do not match',
    remedy: 'Store a PEM certificate in `tls.crt` and its private key in PEM in `tls.key`.',
  },
  TYPE_KEYS_MISSING: {
    group: 'data',
    category: 'fix-config',
    message: 'a key that this type of Secret requires is missing or malformed',
    remedy: 'Map the required keys, or choose another `type`.',
  },
  TYPE_FORBIDDEN: {
    group: 'data',
    category: 'fix-config',
    message:
      'Secrets of this type are not allowed, because they grant access to the cluster or a controller acts on them',
    remedy:
      'Choose another `type`. The `include` of a mapping can allow types that only a controller acts on.',
  },
} as const;
