import { AppError } from '../core/errors.ts';
import { isObject, type JsonObject, parseObject } from '../core/json.ts';
import { codeOf, resourceShortageOf } from '../core/system-errors.ts';
import { compareText } from '../core/target.ts';
import { listIn, objectIn, textIn } from './json.ts';

/** A response of the API server with its unparsed body. */
export interface KubeResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/**
 * The fields of a Status (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/) that classify
 * a response. `text` is only searched and never shown, because it can quote values.
 */
interface Status {
  readonly reason: string | undefined;
  readonly text: string;
  /** The plural resource name that the response refers to, such as `secrets`. */
  readonly kind: string | undefined;
  readonly causes: readonly JsonObject[];
}

function statusOf(response: KubeResponse): Status | undefined {
  const body = parseObject(response.text);
  if (body?.kind !== 'Status') return undefined;
  const details = objectIn(body, 'details') ?? {};
  return {
    reason: textIn(body, 'reason'),
    text: textIn(body, 'message') ?? '',
    kind: textIn(details, 'kind'),
    causes: listIn(details, 'causes').filter(isObject),
  };
}

/**
 * Whether the API server reports that the Secret does not exist. Any other 404 comes from a wrong path, a proxy or a
 * login page.
 */
export function isSecretNotFound(response: KubeResponse): boolean {
  return isNotFound(response, 'secrets');
}

/**
 * Whether the API server reports that the object does not exist.
 * @param plural The plural resource name of the object's kind.
 */
export function isNotFound(response: KubeResponse, plural: string): boolean {
  return response.status === 404 && statusOf(response)?.kind === plural;
}

/**
 * Returns the sorted keys that other managers own with other values. `undefined`: the response is not a field conflict.
 * Empty: the conflict is in labels or annotations. The API server lists a field once for each manager that owns it, so
 * duplicates are removed.
 */
export function conflictingKeys(response: KubeResponse): readonly string[] | undefined {
  const causes = response.status === 409 ? statusOf(response)?.causes : undefined;
  const conflicts = causes?.filter(({ reason }) => reason === 'FieldManagerConflict') ?? [];
  if (conflicts.length === 0) return undefined;
  // A key may contain dots, so it is everything after `.data.`.
  const keys = conflicts.map((cause) => /^\.data\.(.+)$/s.exec(textIn(cause, 'field') ?? '')?.[1]);
  return [...new Set(keys.filter((key) => key !== undefined))].sort(compareText);
}

/**
 * Whether another object now has this name. A `uid` is immutable, so the API server rejects a patch with a different
 * uid.
 */
export function isUidMismatch(response: KubeResponse): boolean {
  const causes = response.status === 422 ? statusOf(response)?.causes : undefined;
  return causes?.some(({ field }) => field === 'metadata.uid') ?? false;
}

/** The status for a response that was not read to its end. */
export const TOO_LONG = 413;

/** Whether the continue token or the resourceVersion has expired. */
export function isExpired(response: KubeResponse): boolean {
  return response.status === 410 && statusOf(response) !== undefined;
}

/** The remedy if the API server rejects the identity. Granting more permissions would not help then. */
export const LOGIN_REMEDY =
  'Renew the token or certificate of the pod, or the login of `cluster.kubeconfig`. To check it, run `kubectl auth whoami` with that kubeconfig.';

/** Turns an unexpected response into an AppError with the given subject. */
export function errorFromResponse(response: KubeResponse, subject: string): AppError {
  const status = statusOf(response);
  const fail = (code: AppError['code'], detail?: string, todo?: string) =>
    new AppError(code, {
      subject,
      ...(detail === undefined ? {} : { detail }),
      ...(todo === undefined ? {} : { remedy: todo }),
      ...retryAfterOf(response),
      cause: response,
    });
  const failWithStatus = (code: AppError['code'], { text }: Status) =>
    fail(
      code,
      code === 'CLUSTER_REFUSED' ? REFUSALS.find(([pattern]) => pattern.test(text))?.[1] : undefined,
    );
  // A response without a Status comes from a proxy or another server.
  const notFromApiServer = () =>
    fail('CLUSTER_UNAVAILABLE', `status ${response.status}; the response does not come from an API server`);
  switch (response.status) {
    case 401:
      return fail(
        'CLUSTER_FORBIDDEN',
        'the API server does not accept our identity: the token or client certificate is wrong or has expired',
        LOGIN_REMEDY,
      );
    case 403:
      return status === undefined ? notFromApiServer() : failWithStatus(codeOfForbidden(status), status);
    case 404:
      return status?.kind === 'namespaces' ? fail('NAMESPACE_MISSING') : notFromApiServer();
    case 409:
      return status === undefined ? notFromApiServer() : fail('CONFLICT');
    case 413:
      return fail('TOO_LARGE', 'the request is too large for the API server');
    case 400:
    case 422:
      return status === undefined ? notFromApiServer() : failWithStatus(codeOfInvalid(status), status);
    case 429:
      return fail('CLUSTER_UNAVAILABLE', 'the API server asked us to slow down');
    default:
      if (response.status === 500 && TOO_LARGE_FOR_ETCD.test(status?.text ?? ''))
        return fail('TOO_LARGE', "the object is too large for the API server's storage");
      if (response.status >= 500 && WEBHOOK_FAILED.test(status?.text ?? ''))
        return fail(
          'CLUSTER_UNAVAILABLE',
          'an admission webhook of the cluster does not answer',
          WEBHOOK_REMEDY,
        );
      return response.status >= 500
        ? fail('CLUSTER_UNAVAILABLE', `status ${response.status}`)
        : notFromApiServer();
  }
}

const WEBHOOK_FAILED = /failed calling webhook/;
const WEBHOOK_REMEDY =
  'No action needed. If the error persists, check the webhooks of the cluster (`kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations`) and the services behind them.';

/**
 * Patterns of Kubernetes' own messages, with the sentences shown instead. The original messages contain object and user
 * names.
 */
const REFUSALS: readonly (readonly [by: RegExp, what: string])[] = [
  [/exceeded quota: /, 'a quota of the namespace is used up'],
  [/admission webhook ".*" denied the request/, 'an admission webhook denied the request'],
  [/ValidatingAdmissionPolicy '.*' with binding/, 'an admission policy denied the request'],
];

/**
 * Matches the errors for objects above 1.5 MiB (from etcd) and for requests above 2 MiB (from the etcd client). A
 * Secret within its own limit can exceed these limits, because the names of its keys count too.
 */
const TOO_LARGE_FOR_ETCD = /etcdserver: request is too large|trying to send message larger than max/;

/**
 * Both RBAC and admission answer with 403, so check the text. The RBAC message has never changed; quotas, policies and
 * webhooks use other messages.
 */
function codeOfForbidden({
  text,
  causes,
}: Status): 'NAMESPACE_MISSING' | 'CLUSTER_FORBIDDEN' | 'CLUSTER_REFUSED' {
  if (causes.some((cause) => cause.reason === 'NamespaceTerminating')) return 'NAMESPACE_MISSING';
  return /: User ".*" cannot \S+ /.test(text) ? 'CLUSTER_FORBIDDEN' : 'CLUSTER_REFUSED';
}

function codeOfInvalid({ causes }: Status): 'IMMUTABLE' | 'TOO_LARGE' | 'CLUSTER_REFUSED' {
  const immutable = (cause: JsonObject) =>
    ['type', 'data', 'immutable'].includes(String(cause.field)) &&
    /field is immutable/.test(String(cause.message));
  if (causes.some(immutable)) return 'IMMUTABLE';
  return causes.some((cause) => cause.reason === 'FieldValueTooLong') ? 'TOO_LARGE' : 'CLUSTER_REFUSED';
}

/** Reads `Retry-After` in seconds (RFC 9110, 10.2.3). The API server never sends a date. */
export function retryAfterOf({ headers }: Pick<KubeResponse, 'headers'>): { retryAfterMs?: number } {
  const seconds = Number(headers['retry-after'] ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? { retryAfterMs: seconds * 1000 } : {};
}

const TRANSPORT_DETAILS: Readonly<Record<string, string>> = {
  ENOTFOUND: "the API server's host name does not resolve",
  EAI_AGAIN: "the API server's host name does not resolve at present",
  ECONNREFUSED: "connection refused by the API server's address",
  EHOSTUNREACH: 'no route to the API server',
  ENETUNREACH: 'no route to the API server',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  UND_ERR_SOCKET: 'the connection was cut',
  ERR_STREAM_PREMATURE_CLOSE: 'the connection was cut',
  ERR_HTTP2_STREAM_ERROR: 'the API server ended the stream',
  UND_ERR_CONNECT_TIMEOUT: 'the connection timed out',
  ETIMEDOUT: 'the connection timed out',
  CERT_HAS_EXPIRED: "TLS: the server's certificate has expired, or our clock is wrong",
  CERT_NOT_YET_VALID: "TLS: the server's certificate is not valid yet, or our clock is wrong",
  ERR_TLS_CERT_ALTNAME_INVALID: "TLS: the server's certificate is for another name",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "TLS: the server's certificate is not signed by a CA that we trust",
  UNABLE_TO_GET_ISSUER_CERT: "TLS: the server's certificate is not signed by a CA that we trust",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "TLS: the server's certificate is not signed by a CA that we trust",
  SELF_SIGNED_CERT_IN_CHAIN: "TLS: the server's certificate is not signed by a CA that we trust",
  DEPTH_ZERO_SELF_SIGNED_CERT: "TLS: the server's certificate is not signed by a CA that we trust",
  CERT_SIGNATURE_FAILURE: "TLS: the server's certificate is not signed by a CA that we trust",
  INVALID_PURPOSE: "TLS: the server's certificate, or one of its issuers, may not be used for this",
  INVALID_CA: "TLS: the server's certificate, or one of its issuers, may not be used for this",
  PATH_LENGTH_EXCEEDED: "TLS: the server's certificate, or one of its issuers, may not be used for this",
  EPROTO: 'TLS: the server does not use TLS, or offers no version that we accept',
  UND_ERR_PRX_CONN: 'the proxy closed the connection',
  // Our own timeout for a request is shorter. So this timeout can only come from opening a tunnel through a proxy.
  UND_ERR_HEADERS_TIMEOUT: 'the proxy does not answer',
};

const CERTIFICATE_REJECTED_ALERT =
  /^ERR_SSL_.*_ALERT_(UNKNOWN_CA|(BAD|UNSUPPORTED)_CERTIFICATE|CERTIFICATE_(EXPIRED|REVOKED|UNKNOWN))$/;

/**
 * Describes the problem with the client certificate, its key or the token. The TLS alerts are defined in RFC 8446,
 * section 6.2.
 */
function clientCredentialDetail(code: string): string | undefined {
  if (/^ERR_SSL_.*_ALERT_CERTIFICATE_REQUIRED$/.test(code))
    return 'the API server requires a client certificate';
  if (CERTIFICATE_REJECTED_ALERT.test(code)) return 'the API server does not accept our client certificate';
  if (/^ERR_OSSL_X509_KEY_(VALUES|TYPE)_MISMATCH$/.test(code))
    return 'the client certificate and its key do not match';
  if (/^ERR_OSSL_/.test(code))
    return 'the client certificate or its key is not valid PEM, or the key has a password';
  // undici rejects invalid headers. The token is the only external input that is sent without encoding.
  if (code === 'UND_ERR_INVALID_ARG')
    return 'the token has characters that are not allowed in a token, such as line breaks';
  return undefined;
}

/** Whether the TLS handshake failed because of a certificate or key, so that no request was sent. */
export function isTlsError(thrown: unknown): boolean {
  const code = codeOf(thrown) ?? '';
  return (
    TRANSPORT_DETAILS[code]?.startsWith('TLS: ') === true || /^(ERR_OSSL_|ERR_SSL_|ERR_TLS_|CERT_)/.test(code)
  );
}

/**
 * Turns a failure without a response (network, DNS, TLS, timeout) into an AppError. An unknown failure becomes
 * INTERNAL, and its text is not shown.
 */
export function errorFromTransport(thrown: unknown, timeoutMs: number): AppError {
  if (thrown instanceof AppError) return thrown;
  const name = thrown instanceof Error ? thrown.name : '';
  const code = codeOf(thrown) ?? '';
  if (name === 'TimeoutError') return unavailable(`no answer within ${timeoutMs / 1000} s`, thrown);
  // If a proxy refuses a connection, undici reports it only in this message.
  const refusal = /^Proxy (?:response|Authentication Required) \((\d{3})\)/.exec(
    thrown instanceof Error ? thrown.message : '',
  )?.[1];
  if (refusal !== undefined)
    return unavailable(`the proxy refused the connection with status ${refusal}`, thrown);
  if (name === 'AbortError') return unavailable('cancelled before the API server answered', thrown);
  const detail = TRANSPORT_DETAILS[code];
  if (detail !== undefined) return unavailable(detail, thrown);
  const credentialDetail = clientCredentialDetail(code);
  if (credentialDetail !== undefined)
    return new AppError('CLUSTER_FORBIDDEN', {
      detail: credentialDetail,
      remedy: LOGIN_REMEDY,
      cause: thrown,
    });
  if (/^(ERR_SSL_|ERR_TLS_|CERT_)/.test(code)) return unavailable('TLS: the handshake failed', thrown);
  if (/^(UND_ERR_|HPE_|ERR_HTTP2_)/.test(code)) return unavailable('the connection failed', thrown);
  // System errors, for example no free file descriptor or address, or a firewall that denies access.
  if (/^E(AI_)?[A-Z]+$/.test(code))
    return unavailable(`cannot open a connection: ${resourceShortageOf(thrown) ?? code}`, thrown);
  return new AppError('INTERNAL', { cause: thrown });
}

export function unavailable(detail: string, cause?: unknown): AppError {
  return new AppError('CLUSTER_UNAVAILABLE', { detail, cause });
}

export function unexpectedResponse(subject: string): AppError {
  return unavailable('the response has an unexpected format').withSubject(subject);
}
