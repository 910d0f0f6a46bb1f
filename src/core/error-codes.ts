/**
 * What the reader of an error has to do, and so what the queue does with it:
 * `retry` it heals by itself · `wait` we were asked to slow down · `fix-config`, `fix-access` a person must act ·
 * `report-bug` we are at fault.
 */
export type Remedy = 'retry' | 'wait' | 'fix-config' | 'fix-access' | 'report-bug';

export interface ErrorKind {
  readonly group: 'store' | 'data' | 'cluster' | 'ours';
  readonly remedy: Remedy;
  /** Completes "<object>: …". */
  readonly says: string;
  /** What to do about it, as one sentence. */
  readonly todo: string;
}

/** Every error there is: the source of `ErrorCode`, of the messages and of `docs/reference/errors.md`. */
export const ERRORS = {
  // From a store
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
  // From the data
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
  // From the cluster
  NOT_OWNED: {
    group: 'cluster',
    remedy: 'fix-config',
    says: 'a Secret of this name exists and is not ours',
    todo: 'Choose another name, or take it over with `onConflict: adopt` (see `plan` first).',
  },
  TARGET_CLAIMED: {
    group: 'cluster',
    remedy: 'fix-config',
    says: 'another mapping or another instance owns this Secret',
    todo: 'Let one of the two go, or name the old instance in `formerInstances`.',
  },
  NAMESPACE_MISSING: {
    group: 'cluster',
    remedy: 'fix-config',
    says: 'the namespace does not exist or is being deleted',
    todo: "Create the namespace, or correct the mapping's `target.namespace`.",
  },
  SECRET_MISSING: {
    group: 'cluster',
    remedy: 'fix-config',
    says: 'there is no Secret to merge into yet',
    todo: 'Create the Secret with its owner, or use `mode: own`.',
  },
  CLUSTER_FORBIDDEN: {
    group: 'cluster',
    remedy: 'fix-access',
    says: 'the API server does not allow us to do this',
    todo: 'Apply the output of `secretbridge rbac` to the cluster.',
  },
  CLUSTER_REFUSED: {
    group: 'cluster',
    remedy: 'fix-access',
    says: 'the API server refused the object by quota, admission or validation',
    todo: 'Look at the quota and the admission policies of the namespace.',
  },
  CLUSTER_UNAVAILABLE: {
    group: 'cluster',
    remedy: 'retry',
    says: 'the cluster could not be reached or is not in working order',
    todo: 'Nothing at once; if it goes on, check `cluster`, the kubeconfig and the network.',
  },
  CONFLICT: {
    group: 'cluster',
    remedy: 'retry',
    says: 'somebody else changed it at the same time',
    todo: 'Nothing at once; if it goes on, find out who else writes this Secret.',
  },
  IMMUTABLE: {
    group: 'cluster',
    remedy: 'fix-config',
    says: 'the change needs the Secret to be deleted and created anew',
    todo: 'Allow that with `target.recreate: true`, or keep type and data as they are.',
  },
  // Ours
  NOT_ALLOWED: {
    group: 'ours',
    remedy: 'fix-config',
    says: 'the `access` rules, or the bounds of its `include`, do not allow this source for this namespace',
    todo: 'Extend the rules or the bounds, or take the source out of the mapping.',
  },
  HELD: {
    group: 'ours',
    remedy: 'fix-config',
    says: 'the change destroys data and waits for a person',
    todo: 'Look at what would be lost; then let it happen with `secretbridge release ID`, or correct the mapping.',
  },
  CONFIG_INVALID: {
    group: 'ours',
    remedy: 'fix-config',
    says: 'the configuration is invalid',
    todo: 'Run `secretbridge validate` and correct each place it names.',
  },
  CREDENTIAL_MISSING: {
    group: 'ours',
    remedy: 'fix-access',
    says: 'a credential that the configuration refers to is not there',
    todo: 'Provide the environment variable, file or Secret that the message names.',
  },
  AUDIT_UNAVAILABLE: {
    group: 'ours',
    remedy: 'retry',
    says: 'the audit log cannot be used, so nothing is changed',
    todo: 'Check that `audit.store` is there and can be read and written, and that its disk is not full.',
  },
  AUDIT_TRUNCATED: {
    group: 'ours',
    remedy: 'fix-access',
    says: 'the audit log lacks records that a signed checkpoint proves',
    todo: 'Find out who removed them; then accept the loss explicitly.',
  },
  QUEUE_UNAVAILABLE: {
    group: 'ours',
    remedy: 'retry',
    says: 'the queue could not be reached',
    todo: 'Nothing at once; if it goes on, check `engine` and Redis.',
  },
  RECORD_MISSING: {
    group: 'ours',
    remedy: 'fix-config',
    says: 'the audit log has no such record',
    todo: 'Look for the sequence with `secretbridge audit list`.',
  },
  NOT_HELD: {
    group: 'ours',
    remedy: 'fix-config',
    says: 'nothing is held under this id',
    todo: 'Look with `secretbridge plan`: the id changes when the change does.',
  },
  CLOCK_SKEWED: {
    group: 'ours',
    remedy: 'fix-config',
    says: 'the clocks are too far apart: tokens and certificates will fail',
    todo: 'Synchronise the clocks of both machines, for example with NTP.',
  },
  INTERRUPTED: {
    group: 'ours',
    remedy: 'retry',
    says: 'it was stopped before it was done',
    todo: 'Run it again: it decides anew and leaves nothing half done.',
  },
  INTERNAL: {
    group: 'ours',
    remedy: 'report-bug',
    says: 'something went wrong that should not',
    todo: 'Please report it with the request id and the log.',
  },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;
