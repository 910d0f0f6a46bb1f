import { posix } from 'node:path';
import type { ErrorCategory, ErrorKind } from '../../core/error-codes.ts';
import { ERRORS, type ErrorCode } from '../../core/error-codes.ts';
import { AppError } from '../../core/errors.ts';
import { type ExitCode, exitCode, exitCodeOf } from '../errors.ts';

// The texts about error codes, for `explain-error` and `docs/reference/errors.md`.

export type ErrorGroup = ErrorKind['group'];

export const ERROR_GROUPS: Readonly<Record<ErrorGroup, { readonly title: string; readonly intro: string }>> =
  {
    store: { title: 'From a store', intro: 'A store refused a request, failed or could not be reached.' },
    data: {
      title: 'From the data',
      intro: 'The values that were read cannot be written as a Secret.',
    },
    cluster: {
      title: 'From the cluster',
      intro: 'The API server, or the folder of a directory cluster, refused a request or failed.',
    },
    ours: {
      title: 'From secretbridge itself',
      intro: 'The configuration, the audit log, the queue, and rules that hold back changes.',
    },
    http: { title: 'From the HTTP API', intro: 'A request is wrong, or the API cannot listen.' },
  };

const RESOLUTIONS: Readonly<Record<ErrorCategory, string>> = {
  retry: 'The error can be temporary: run the command again.',
  wait: 'The error is temporary: run the command again later.',
  'fix-config': 'A person must act: correct the configuration or the data.',
  'fix-access': 'A person must act: correct access or credentials.',
  'report-bug': 'The error can be temporary, but it is caused by a bug in secretbridge.',
};

/** The texts about error codes that `explain-error` prints and `docs/reference/errors.md` contains. */
export interface ErrorPage {
  readonly code: ErrorCode;
  readonly group: ErrorGroup;
  /** The message as a complete sentence. */
  readonly message: string;
  readonly remedy: string;
  readonly details?: string;
  /** States whether the error is temporary, or what a person must do. */
  readonly resolution: string;
  /** The exit code of a command that ends with this error. */
  readonly exitCode: ExitCode;
  /** The exit code of a run in which one target fails with this error. */
  readonly targetExitCode: ExitCode;
}

export function errorPageOf(code: ErrorCode): ErrorPage {
  const { group, category, message, remedy }: ErrorKind = ERRORS[code];
  const details = ERROR_DETAILS[code];
  return {
    code,
    group,
    message: `${message.charAt(0).toUpperCase()}${message.slice(1)}.`,
    remedy,
    ...(details === undefined ? {} : { details }),
    resolution: RESOLUTIONS[category],
    exitCode: exitCodeOf(new AppError(code)),
    targetExitCode: exitCode([code]),
  };
}

/** Returns the pages of all codes, in the order of the documentation. */
export function allErrorPages(): readonly ErrorPage[] {
  const pages = (Object.keys(ERRORS) as ErrorCode[]).map(errorPageOf);
  return (Object.keys(ERROR_GROUPS) as ErrorGroup[]).flatMap((group) =>
    pages.filter((page) => page.group === group),
  );
}

export function exitCodeText({
  exitCode: whole,
  targetExitCode: part,
}: Pick<ErrorPage, 'exitCode' | 'targetExitCode'>): string {
  return whole === part
    ? `Exit code ${whole}.`
    : `Exit code ${whole}. If only a target of a run fails: ${part}.`;
}

/** Returns the link to a code's section in the documentation, relative to the root of the package. */
export function errorPagePath(code: ErrorCode): string {
  return `${REFERENCE}/errors.md#${code.toLowerCase()}`;
}

const REFERENCE = 'docs/reference';

/** Converts Markdown for a terminal. A link is replaced by its text and its path. */
export function withoutLinks(markdown: string): string {
  return markdown.replace(
    /\[([^\]]+)\]\(([^)#]+)(#[^)]*)?\)/g,
    (_, text: string, path: string) => `${text} (${posix.join(REFERENCE, path)})`,
  );
}

/**
 * Additional information about a code, besides its message and remedy. Markdown; links are relative to
 * `docs/reference`.
 */
export const ERROR_DETAILS: Partial<Readonly<Record<ErrorCode, string>>> = {
  AUTH_FAILED:
    'Vault also refuses a login if the login method is not enabled at `auth.mountPath`. After a refused login, secretbridge waits ten seconds before it tries again, because some servers lock accounts.',
  ACCESS_DENIED:
    'Vault gives the same answer for a missing permission and for an expired token. secretbridge finds out whether the token is expired, and reports an expired token as `AUTH_FAILED`. If the identity may read nothing in a path or mount, Vault does not say whether the path or mount exists. The code is `ACCESS_DENIED` in both cases. In a store of kind `files`, a file permission is missing or a symbolic link leads out of the folder. For AWS, the text in brackets names the region that was asked, because policies often allow the secrets of one region only. For AWS and Azure, the identity may lack the permission to confirm an absence; the text in brackets names the missing permission.',
  MOUNT_NOT_FOUND:
    'If a mount of version 1 is read as version 2, Vault answers as if the key did not exist. Therefore secretbridge confirms the mount before it treats a key as absent.',
  SOURCE_ABSENT:
    'Only the code `SOURCE_ABSENT` means that a source does not exist. [What counts as proof](../explanation/what-is-absence.md) depends on the store. A target that was written before stays unchanged until the absence is proved and `onSourceMissing` allows the change. In Azure, a new target with an absent `optional` source fails until a second reading, two minutes later, confirms the absence. The error message names the missing proof in brackets.',
  SOURCE_DELETED:
    'Vault: the current version was deleted with `vault kv delete`, or destroyed. AWS: the secret is scheduled for deletion. Azure: the secret is soft-deleted. The deleted source counts as absent only with `softDeletedIsMissing: true`.',
  SOURCE_DISABLED: 'Only Azure can disable a source.',
  VERSION_GONE:
    'Vault key/value version 1 and files have no versions of their own. There `version` is the fingerprint of the value, so `VERSION_GONE` means that the value has changed.',
  STORE_UNAVAILABLE: 'The text in brackets names the cause: DNS, connection, status or sealed.',
  BAD_ANSWER:
    'secretbridge does not follow redirects, because the token would go to the new address. A redirect is reported as `BAD_ANSWER`.',
  NOT_AN_OBJECT:
    'The code is also `NOT_AN_OBJECT` if an object has two members with the same name, because such an object is ambiguous.',
  PROPERTY_MISSING: '[Values](values.md#properties) describes how a property is looked up.',
  KEY_COLLISION: 'The collision is an error even if both values are equal today.',
  TYPE_KEYS_MISSING: '[Values](values.md#checks-before-a-write) lists the required keys of each type.',
  NOT_OWNED:
    'If somebody removes the `secretbridge.dev` labels of a Secret, secretbridge no longer owns this Secret. To take over a Secret, see [adopt existing Secrets](../how-to/adopt-existing-secrets.md).',
  TARGET_CLAIMED:
    'Within one configuration, `validate` reports two mappings with the same target. In the cluster, the labels of the Secret name the instance and the mapping that own the Secret.',
  CLUSTER_FORBIDDEN:
    'The code is also `CLUSTER_FORBIDDEN` if the API server does not accept the identity at all, for example because a token or client certificate is expired. When a namespace is deleted, Kubernetes soon deletes the Role of secretbridge in it. From then on, the code of its targets is `CLUSTER_FORBIDDEN` instead of `NAMESPACE_MISSING`.',
  CLUSTER_REFUSED:
    'secretbridge does not repeat the answer of the API server, because the answer can quote values. The audit log of the API server has the answer.',
  CONFLICT:
    'Each write names the version of the object that secretbridge read. If the object has changed since then, nothing is written, and secretbridge reads and decides again, up to three times. With `mode: merge`, the cause is another field manager that owns one of the keys, labels or annotations with a different value. In this case nothing is written and the exit code is 4.',
  IMMUTABLE:
    'Kubernetes does not change the type of a Secret, or the data of an immutable Secret. With `recreate: true`, secretbridge deletes and recreates the Secret, unless `brake` holds the deletion.',
  NOTIFY_FAILED:
    'Nothing else is affected. An address in a private network needs `allowPrivate: true`, and redirects are never followed. See [how notifications work](../how-to/notify-people.md).',
  EXPIRES_SOON:
    'Only a warning: the Secret is written as always. See [which stores say when a value expires](../how-to/watch-the-bridge.md#values-that-expire).',
  POLICY_VIOLATED:
    'The Secret stays unchanged. As a warning, the code says that a value is older than `maxAge`; then nothing is refused. See [how policies work](../how-to/set-policies.md).',
  HELD: 'The change exceeds `brake`, would delete the last target, or would leave no key in a target. See [what to do when something is held](../how-to/troubleshooting.md#something-is-held).',
  APPROVAL_NEEDED:
    'The message names the id of the request. `approvals` says who may approve, and the person who asked may not. See [how to approve](../how-to/approve-changes.md).',
  APPROVAL_CLOSED:
    'Somebody has decided about the request, its time is over, or its action is not possible any more. An approval counts once.',
  PLAN_OUTDATED:
    'The message names what differs: the configuration, the version of a source, the `resourceVersion` of a Secret, or the change itself. Nothing of the plan was carried out. If something moves while the plan is carried out, only its target is refused. See [saved plans](../how-to/run-in-ci.md#review-a-plan-and-carry-out-exactly-this-plan).',
  OUTSIDE_WINDOW:
    'The message says when the window opens. Repairs, first syncs and rollbacks wait only for windows with `all: true`. See [how windows work](../how-to/change-windows.md).',
  NOT_HELD: 'Usually somebody has released the change already, or the Secret has changed since then.',
  SECRET_MISSING: 'Only mappings with `mode: merge` wait for a Secret.',
  NOT_ALLOWED:
    'If a mapping may not read one of its sources, none of its sources is read. Other mappings are not affected.',
  BUSY_ELSEWHERE:
    'Only one process at a time decides on deletions, restarts workloads, resolves the changes that a crash left unfinished, or removes old audit records. Every other process waits for up to a minute and then reports this error. A `sync` first updates all other targets, so only the targets that it would delete fail.',
  AUDIT_UNAVAILABLE:
    'secretbridge makes no change without a record, so the run ends. Every change that the run had already made has a record. If `audit.store` names a damaged file, or a file of another program or of a newer release, a person must act, as the remedy says. Even then the exit code is 1, because the exit code depends only on the error code.',
  CONFIG_INVALID:
    'If the message is about `cluster`, the kubeconfig is invalid. `validate` does not read the kubeconfig; the remedy of the error says what to do.',
  INTERRUPTED:
    'A run records `INTERRUPTED` when it finds the intent of a change that another process did not make before that process ended.',
  INVALID_REQUEST:
    'The text in brackets names the cause: a parameter, the body, or the size or the format of the body. The text does not repeat the content of the request.',
  UNAUTHENTICATED:
    'The token must be in the `Authorization` header; a token in the URL is ignored. Without `http.tokens` and `http.kubernetes`, no token is valid.',
  CREDENTIAL_MISSING: 'The code is also `CREDENTIAL_MISSING` if a key file in `keys` has the wrong content.',
};
