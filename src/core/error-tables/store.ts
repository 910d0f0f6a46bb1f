/** Errors that a store reports. */
export const STORE = {
  AUTH_FAILED: {
    group: 'store',
    category: 'fix-access',
    message: 'the store does not accept our credentials',
    remedy: 'Check `auth` of the store, and that the credential it refers to is current.',
  },
  ACCESS_DENIED: {
    group: 'store',
    category: 'fix-access',
    message: 'the store denies our identity access',
    remedy:
      'Grant the identity of secretbridge read access: in Vault with a policy, in other stores with a role or permission.',
  },
  MOUNT_NOT_FOUND: {
    group: 'store',
    category: 'fix-config',
    message: 'the store has no such key/value mount, or the mount has another version than `kvVersion`',
    remedy:
      'Compare `mount`, `namespace` and `kvVersion` of the store with the server: `vault secrets list -detailed` shows the mounts and their versions.',
  },
  SOURCE_ABSENT: {
    group: 'store',
    category: 'fix-config',
    message: 'the source does not exist in the store',
    remedy: 'Create it in the store, correct `key`, or mark the source as `optional: true`.',
  },
  SOURCE_DISABLED: {
    group: 'store',
    category: 'fix-access',
    message: 'the source is disabled in the store',
    remedy: 'Enable it in the store, or set `version` to an enabled version.',
  },
  SOURCE_DELETED: {
    group: 'store',
    category: 'fix-access',
    message: 'the source is deleted in the store, but can still be recovered',
    remedy: 'Recover it in the store, or purge it if the deletion was intended.',
  },
  VERSION_GONE: {
    group: 'store',
    category: 'fix-config',
    message: 'the store no longer has this version',
    remedy:
      'Set `version` to a version that the store still has, or omit `version` to use the current version.',
  },
  THROTTLED: {
    group: 'store',
    category: 'wait',
    message: 'the store asked us to slow down',
    remedy: 'No action needed. If the error persists, lower `limits` of the store or raise its quota.',
  },
  STORE_UNAVAILABLE: {
    group: 'store',
    category: 'retry',
    message: 'the store is unreachable or not working',
    remedy:
      'No action needed. If the error persists, check the address, DNS, the network and the health of the store.',
  },
  TIMEOUT: {
    group: 'store',
    category: 'retry',
    message: 'the store did not answer in time',
    remedy:
      'No action needed. If the error persists, check the network and the load of the store, or raise `limits.timeout`.',
  },
  BAD_ANSWER: {
    group: 'store',
    category: 'retry',
    message: 'the store sent an unexpected response',
    remedy: 'Check that the address is the store itself, and not a proxy, a login page or another service.',
  },
  TLS_FAILED: {
    group: 'store',
    category: 'fix-config',
    message: 'the TLS connection cannot be trusted',
    remedy: 'Check the server certificate (name, expiry, issuer) and `tls.caFile` of the store.',
  },
} as const;
