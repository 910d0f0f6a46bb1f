import type { ErrorCode } from '../../core/error-codes.ts';

/**
 * Additional information about a code, besides its message and remedy. Markdown; links are relative to
 * `docs/reference`.
 */
export const ERROR_DETAILS: Partial<Readonly<Record<ErrorCode, string>>> = {
  AUTH_FAILED:
    'Vault also gives this answer for a login method that is not enabled at `auth.mountPath`. After a refused login, secretbridge waits ten seconds before it tries again, because some servers lock accounts.',
  ACCESS_DENIED:
    'Vault gives the same answer for an expired token. secretbridge finds out which of the two it is, and reports an expired token as `AUTH_FAILED`. A mount in which the identity may read nothing also gives this answer. For a folder of files, a permission is missing or a symbolic link leads out of the folder. For AWS and Azure, the identity may lack the permission to confirm an absence; the text in brackets names it.',
  MOUNT_NOT_FOUND:
    'A version 1 mount that is read as version 2 answers as if the key did not exist. Therefore secretbridge confirms the mount before it treats a key as absent.',
  SOURCE_ABSENT:
    'This is the only code that means that something does not exist. [What counts as proof](../explanation/what-is-absence.md) depends on the store. A target that was written before stays unchanged until the absence is proved and `onSourceMissing` allows the change. The text in brackets names the missing proof.',
  SOURCE_DELETED:
    'Vault: the current version was deleted with `vault kv delete`, or destroyed. AWS: the secret is scheduled for deletion. Azure: the secret is soft-deleted. It counts as absent only with `softDeletedIsMissing: true`.',
  SOURCE_DISABLED: 'Only Azure has this state.',
  VERSION_GONE:
    'Vault key/value version 1 and files have no versions of their own. For them a `version` is the fingerprint of the value, so this code means that the value has changed.',
  STORE_UNAVAILABLE: 'The text in brackets names the cause: DNS, connection, status or sealed.',
  BAD_ANSWER:
    'secretbridge does not follow redirects, because the token would go to the new address. A redirect is reported with this code.',
  NOT_AN_OBJECT: 'An object with a duplicate member name has this code too, because the value is ambiguous.',
  PROPERTY_MISSING: '[Values](values.md#properties) describes how a property is looked up.',
  KEY_COLLISION: 'This is an error even if both values are equal today.',
  TYPE_KEYS_MISSING: '[Values](values.md#checks-before-a-write) lists the required keys of each type.',
  NOT_OWNED:
    'A Secret is released, and no longer owned by secretbridge, when somebody removes its `secretbridge.dev` labels. To take over a Secret, see [adopt existing Secrets](../how-to/adopt-existing-secrets.md).',
  TARGET_CLAIMED:
    'Within one configuration, `validate` reports two mappings with the same target. In the cluster, the labels of the Secret name the instance and the mapping that own it.',
  CLUSTER_FORBIDDEN:
    'An identity that the API server does not accept at all has this code too, for example an expired token or client certificate.',
  CLUSTER_REFUSED:
    "secretbridge does not repeat the answer of the API server, because it can quote values. The API server's audit log has it.",
  CONFLICT:
    'Each write names the version of the object that was read. If the object has changed since, nothing is written and secretbridge reads and decides again, up to three times. With `mode: merge`, another field manager owns one of the keys, labels or annotations with a different value. Then nothing is written and the exit code is 4.',
  IMMUTABLE:
    'Kubernetes does not change the type of a Secret, or the data of an immutable one. With `recreate: true`, secretbridge deletes and recreates the Secret, unless `brake` holds the deletion.',
  HELD: 'The change exceeds `brake`, would delete the last target, or would leave no key in a target. See [what to do when something is held](../how-to/troubleshooting.md#something-is-held).',
  NOT_HELD: 'Usually somebody has released it already, or the Secret has changed since.',
  SECRET_MISSING: 'Only mappings with `mode: merge` wait for a Secret.',
  NOT_ALLOWED:
    'Nothing is read for a mapping that may not read all of its sources. Other mappings are not affected.',
  BUSY_ELSEWHERE:
    'Only one process at a time decides on deletions, restarts workloads, resolves the changes that a crash left unfinished, or removes old audit records. Another process waits for up to a minute. A `sync` has updated all other targets by then, and fails only the targets that it would delete.',
  AUDIT_UNAVAILABLE:
    'secretbridge makes no change without a record, so the run ends. Earlier changes of the run are recorded. A file that is not an audit log of this release (another program, a newer release, damaged) needs a person, as the remedy says. The exit code is 1 nevertheless, because it depends on the code alone.',
  CONFIG_INVALID:
    'If it is about `cluster`, the kubeconfig is invalid. `validate` does not read the kubeconfig; the remedy says what to do.',
  INTERRUPTED:
    'A run records this code when it finds a change that another process announced but did not make before it ended.',
  INVALID_REQUEST:
    'The text in brackets names the cause: a parameter, the body, its size or its format. The content of the request is not repeated.',
  UNAUTHENTICATED:
    'The token must be in the `Authorization` header; a token in the URL is ignored. Without `http.tokens` and `http.kubernetes`, no token is valid.',
  CREDENTIAL_MISSING: 'A key file of `keys` with the wrong content has this code too.',
};
