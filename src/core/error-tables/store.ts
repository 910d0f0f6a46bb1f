import type { ErrorKind } from './kind.ts';

/** What a store answered, or why it did not. */
export const STORE = {
  AUTH_FAILED: {
    group: 'store',
    remedy: 'fix-access',
    says: 'the store does not accept our credentials',
    todo: "Check the store's `auth` and that the credential it refers to is current.",
  },
  ACCESS_DENIED: {
    group: 'store',
    remedy: 'fix-access',
    says: 'the store refuses our identity access to this',
    todo: 'Allow the identity of the bridge to read it: in Vault a policy, elsewhere a role or permission.',
  },
  MOUNT_NOT_FOUND: {
    group: 'store',
    remedy: 'fix-config',
    says: 'the store has no such key/value mount, or it is of the other version',
    todo: "Compare the store's `mount`, `namespace` and `kvVersion` with what the server has.",
  },
  SOURCE_ABSENT: {
    group: 'store',
    remedy: 'fix-config',
    says: 'the store says that this does not exist',
    todo: 'Create it in the store, correct the `key`, or mark the source `optional: true`.',
  },
  SOURCE_DISABLED: {
    group: 'store',
    remedy: 'fix-access',
    says: 'it is disabled in the store',
    todo: 'Enable it in the store, or name an enabled version.',
  },
  SOURCE_DELETED: {
    group: 'store',
    remedy: 'fix-access',
    says: 'it is deleted in the store, but can still be recovered there',
    todo: 'Recover it in the store, or purge it there if it is meant to be gone.',
  },
  VERSION_GONE: {
    group: 'store',
    remedy: 'fix-config',
    says: 'the store no longer has this version',
    todo: 'Name a version that the store still has, or none for the current one.',
  },
  THROTTLED: {
    group: 'store',
    remedy: 'wait',
    says: 'the store asked us to slow down',
    todo: "Nothing at once; if it goes on, lower the store's `limits` or raise its quota.",
  },
  STORE_UNAVAILABLE: {
    group: 'store',
    remedy: 'retry',
    says: 'the store could not be reached or is not in working order',
    todo: 'Nothing at once; if it goes on, check the address, DNS, the network and the health of the store.',
  },
  TIMEOUT: {
    group: 'store',
    remedy: 'retry',
    says: 'the store did not answer in time',
    todo: "Nothing at once; if it goes on, check the network and the store's load, or raise `limits.timeout`.",
  },
  BAD_ANSWER: {
    group: 'store',
    remedy: 'retry',
    says: 'the store answered in a form that we do not know',
    todo: 'Check that the address is that of the store itself and not of a proxy, login page or other service.',
  },
  TLS_FAILED: {
    group: 'store',
    remedy: 'fix-config',
    says: 'the TLS connection could not be trusted',
    todo: "Check the certificate of the server (name, expiry, issuer), and the store's `tls.caFile`.",
  },
} as const satisfies Record<string, ErrorKind>;
