import { AppError } from '../core/errors.ts';
import { isObject, type JsonObject, parseObject } from '../core/json.ts';
import { codeOf, shortageOf } from '../core/system-errors.ts';
import { compareText } from '../core/target.ts';
import { listIn, objectIn, textIn } from './json.ts';

/** An answer of the API server, its body not yet looked at. */
export interface KubeAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/**
 * The parts of a Status that decide what an answer means
 * (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/). `text` is only searched,
 * never shown: it can quote values.
 */
interface Status {
  readonly reason: string | undefined;
  readonly text: string;
  /** The plural of the kind that the answer is about. */
  readonly kind: string | undefined;
  readonly causes: readonly JsonObject[];
}

function statusOf(answer: KubeAnswer): Status | undefined {
  const body = parseObject(answer.text);
  if (body?.kind !== 'Status') return undefined;
  const details = objectIn(body, 'details') ?? {};
  return {
    reason: textIn(body, 'reason'),
    text: textIn(body, 'message') ?? '',
    kind: textIn(details, 'kind'),
    causes: listIn(details, 'causes').filter(isObject),
  };
}

/** A definite "there is no such Secret"; every other 404 comes from a wrong path, a proxy or a login page. */
export function saysNoSecret(answer: KubeAnswer): boolean {
  return saysNone(answer, 'secrets');
}

/** @param plural Of the kind: a definite "there is no such object". */
export function saysNone(answer: KubeAnswer, plural: string): boolean {
  return answer.status === 404 && statusOf(answer)?.kind === plural;
}

/**
 * The keys that other managers hold with other values, sorted; `undefined` if that is not what it says. None: it
 * is about labels or annotations. A field that two managers hold is named twice.
 */
export function keysHeldByOthers(answer: KubeAnswer): readonly string[] | undefined {
  const causes = answer.status === 409 ? statusOf(answer)?.causes : undefined;
  const held = causes?.filter(({ reason }) => reason === 'FieldManagerConflict') ?? [];
  if (held.length === 0) return undefined;
  // A key is what follows `.data.`, with all its dots.
  const keys = held.map((cause) => /^\.data\.(.+)$/s.exec(textIn(cause, 'field') ?? '')?.[1]);
  return [...new Set(keys.filter((key) => key !== undefined))].sort(compareText);
}

/** Whether the object of that name is another one by now: a `uid` cannot be changed. */
export function saysAnotherUid(answer: KubeAnswer): boolean {
  const causes = answer.status === 422 ? statusOf(answer)?.causes : undefined;
  return causes?.some(({ field }) => field === 'metadata.uid') ?? false;
}

/** The place in a list that it gave us is too old. */
export function saysExpired(answer: KubeAnswer): boolean {
  return answer.status === 410 && statusOf(answer) !== undefined;
}

/** No Role helps whom the API server does not know. */
export const LOG_IN =
  'Renew the token or certificate of the pod, or the login of `cluster.kubeconfig`: `kubectl auth whoami` with it shows whether it is accepted.';

/** Any answer that is not what was asked for, as an error of ours about the object named. */
export function errorOfAnswer(answer: KubeAnswer, about: string): AppError {
  const status = statusOf(answer);
  const fail = (code: AppError['code'], detail?: string, todo?: string) =>
    new AppError(code, {
      about,
      ...(detail === undefined ? {} : { detail }),
      ...(todo === undefined ? {} : { todo }),
      ...waitOf(answer),
      cause: answer,
    });
  const ofStatus = (code: AppError['code'], { text }: Status) =>
    fail(code, code === 'CLUSTER_REFUSED' ? REFUSALS.find(([by]) => by.test(text))?.[1] : undefined);
  // Without a Status it is not the API server that speaks.
  const foreign = () =>
    fail('CLUSTER_UNAVAILABLE', `status ${answer.status}, not in the form of an API server`);
  switch (answer.status) {
    case 401:
      return fail(
        'CLUSTER_FORBIDDEN',
        'it does not accept our identity: the token or client certificate is wrong or has expired',
        LOG_IN,
      );
    case 403:
      return status === undefined ? foreign() : ofStatus(codeOfForbidden(status), status);
    case 404:
      return status?.kind === 'namespaces' ? fail('NAMESPACE_MISSING') : foreign();
    case 409:
      return status === undefined ? foreign() : fail('CONFLICT');
    case 413:
      return fail('TOO_LARGE', 'the API server takes no request of this size');
    case 400:
    case 422:
      return status === undefined ? foreign() : ofStatus(codeOfInvalid(status), status);
    case 429:
      return fail('CLUSTER_UNAVAILABLE', 'it asked us to slow down');
    default:
      if (answer.status === 500 && TOO_LARGE_FOR_ETCD.test(status?.text ?? ''))
        return fail('TOO_LARGE', 'the store of the API server takes no object of this size');
      if (answer.status >= 500 && NO_WEBHOOK.test(status?.text ?? ''))
        return fail(
          'CLUSTER_UNAVAILABLE',
          'an admission webhook of the cluster does not answer',
          SEE_WEBHOOK,
        );
      return answer.status >= 500 ? fail('CLUSTER_UNAVAILABLE', `status ${answer.status}`) : foreign();
  }
}

const NO_WEBHOOK = /failed calling webhook/;
const SEE_WEBHOOK =
  'Nothing at once; if it goes on, look at the webhooks of the cluster (`kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations`) and at what serves them.';

/** By the sentences of Kubernetes' own code, which what was forbidden, or by whom, stands in: ours name neither. */
const REFUSALS: readonly (readonly [by: RegExp, what: string])[] = [
  [/exceeded quota: /, 'a quota of the namespace is used up'],
  [/admission webhook ".*" denied the request/, 'an admission webhook denies it'],
  [/ValidatingAdmissionPolicy '.*' with binding/, 'an admission policy denies it'],
];

/**
 * What etcd says of more than 1.5 MiB, and the client before it of more than 2 MiB, is passed on. The names of the keys
 * count there as well.
 */
const TOO_LARGE_FOR_ETCD = /etcdserver: request is too large|trying to send message larger than max/;

/**
 * Admission answers 403 too, so it takes more than the number. The authorizer's sentence has been the same
 * since RBAC exists; quota, policies and webhooks have other ones.
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

/** `Retry-After` in seconds (RFC 9110, 10.2.3); the API server never sends a date. */
export function waitOf({ headers }: Pick<KubeAnswer, 'headers'>): { retryAfterMs?: number } {
  const seconds = Number(headers['retry-after'] ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? { retryAfterMs: seconds * 1000 } : {};
}

const DETAILS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'the name of the API server does not resolve',
  EAI_AGAIN: 'the name of the API server does not resolve at present',
  ECONNREFUSED: 'nothing listens at the address of the API server',
  EHOSTUNREACH: 'no route to the API server',
  ENETUNREACH: 'no route to the API server',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  UND_ERR_SOCKET: 'the connection was cut',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  ETIMEDOUT: 'no connection in time',
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
  EPROTO: 'TLS: the server does not speak TLS, or no version that we accept',
  UND_ERR_PRX_CONN: 'the proxy cut the connection',
  // Of a tunnel: every request has a shorter time of its own.
  UND_ERR_HEADERS_TIMEOUT: 'the proxy does not answer',
};

const REFUSED_ALERT =
  /^ERR_SSL_.*_ALERT_(UNKNOWN_CA|(BAD|UNSUPPORTED)_CERTIFICATE|CERTIFICATE_(EXPIRED|REVOKED|UNKNOWN))$/;

/** What is wrong with the client certificate, its key or a header. The alerts are those of RFC 8446, 6.2. */
function ofOurLogin(code: string): string | undefined {
  if (/^ERR_SSL_.*_ALERT_CERTIFICATE_REQUIRED$/.test(code)) return 'it asks for a client certificate';
  if (REFUSED_ALERT.test(code)) return 'it does not accept our client certificate';
  if (/^ERR_OSSL_X509_KEY_(VALUES|TYPE)_MISMATCH$/.test(code))
    return 'the client certificate and its key cannot be used together';
  if (/^ERR_OSSL_/.test(code))
    return 'the client certificate or its key is no PEM, or the key has a password';
  // Of what a request is made of, no other part comes from outside unencoded.
  if (code === 'UND_ERR_INVALID_ARG') return 'its token has characters that no token has, such as two lines';
  return undefined;
}

/** Whether no request was sent, since the one side did not trust the other, or could not show who it is. */
export function isOfTrust(thrown: unknown): boolean {
  const code = codeOf(thrown) ?? '';
  return DETAILS[code]?.startsWith('TLS: ') === true || /^(ERR_OSSL_|ERR_SSL_|ERR_TLS_|CERT_)/.test(code);
}

/** No answer at all: network, DNS, TLS or time. What we do not know stays INTERNAL, with its text inside. */
export function errorOfTransport(thrown: unknown, timeoutMs: number): AppError {
  if (thrown instanceof AppError) return thrown;
  const name = thrown instanceof Error ? thrown.name : '';
  const code = codeOf(thrown) ?? '';
  if (name === 'TimeoutError') return unavailable(`no answer within ${timeoutMs / 1000} s`, thrown);
  // undici has no other sign of it, of a tunnel and of a request without TLS.
  const refusal = /^Proxy (?:response|Authentication Required) \((\d{3})\)/.exec(
    thrown instanceof Error ? thrown.message : '',
  )?.[1];
  if (refusal !== undefined) return unavailable(`the proxy refuses to connect us, status ${refusal}`, thrown);
  if (name === 'AbortError') return unavailable('cancelled before it answered', thrown);
  const detail = DETAILS[code];
  if (detail !== undefined) return unavailable(detail, thrown);
  const ours = ofOurLogin(code);
  if (ours !== undefined)
    return new AppError('CLUSTER_FORBIDDEN', { detail: ours, todo: LOG_IN, cause: thrown });
  if (/^(ERR_SSL_|ERR_TLS_|CERT_)/.test(code)) return unavailable('TLS: the handshake failed', thrown);
  if (/^(UND_ERR_|HPE_)/.test(code)) return unavailable('the connection failed', thrown);
  // Of the system: no more connections can be opened, no address is free, a firewall says no.
  if (/^E(AI_)?[A-Z]+$/.test(code))
    return unavailable(`no connection can be made: ${shortageOf(thrown) ?? code}`, thrown);
  return new AppError('INTERNAL', { cause: thrown });
}

export function unavailable(detail: string, cause?: unknown): AppError {
  return new AppError('CLUSTER_UNAVAILABLE', { detail, cause });
}
