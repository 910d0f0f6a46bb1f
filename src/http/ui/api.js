// Only this module has access to the token. The token is kept in memory, and not in the URL, a cookie or the browser's
// storage. So the user must enter the token again after a reload, and no other site can make the browser send it. After a
// sign-in by OIDC there is no token here: the browser sends the cookie of the session, which scripts cannot read.

/**
 * @typedef {{ kind: string, name?: string, address?: string }} Actor
 * @typedef {{ store: string, key: string, property?: string, version?: string }} Source
 * @typedef {{ state: string, by?: string, time: string, note?: string, sequence: number }} Review
 * @typedef {{
 *   sequence: number, time: string, action: string, phase?: string, outcome: string, code?: string,
 *   mapping?: string, namespace?: string, secret?: string, store?: string, key?: string, actor: Actor,
 *   note?: string, keys: { added: string[], changed: string[], removed: string[] }, sources: Source[],
 *   values?: Record<string, string>, counts?: Record<string, number>, before?: string, after?: string,
 *   resourceVersion?: string, count?: number, since?: string, configHash?: string, revision?: string,
 *   changes?: { path: string, before?: string, after?: string }[],
 *   requestId: string, attempt: number, durationMs: number, instance: string, replica: string,
 *   previousHash: string, hash: string, review?: { sequence: number, state: string }, reviewed?: Review,
 * }} AuditRecord
 * @typedef {AuditRecord & {
 *   counterpart?: AuditRecord, chain: { previous?: number, next?: number, head: number, fits: boolean },
 * }} RecordDetail
 * @typedef {Source & { fingerprint: string, firstRead: string }} TracedVersion
 * @typedef {{ records: AuditRecord[], next?: string, versions?: TracedVersion[], more?: boolean }} RecordPage
 * @typedef {{
 *   mapping: string, namespace: string, secret: string, state: string, lastSuccess: string | null,
 *   staleSeconds: number | null, code?: string, message?: string, remedy?: string, pinned?: number,
 * }} Target
 * @typedef {{ name: string, action: string, before?: string, after?: string }} Key
 * @typedef {{ id: string, mapping: string, namespace: string, secret: string, action: string, keys: Key[],
 *   reason?: string, since?: string }} Held
 * @typedef {{ kind: string, state: string, code?: string }} Part
 * @typedef {{
 *   instance: string, version: string, replica?: string, engine: Part, audit: Part & { sequence: number },
 *   warnings?: { code: string, message: string }[],
 *   cluster?: Part, config?: { valid: boolean, problems: Record<string, unknown>[], differing?: string[] },
 *   stores: (Part & { name: string, lastSuccess: string | null, breakerOpen?: boolean })[],
 *   events?: (Part & { name: string, lastEvent?: string })[], targets: Target[], held: Held[],
 * }} Status
 * @typedef {{
 *   mapping: string, refreshSeconds?: number, sources: Source[], targets: Target[],
 *   searches: { store: string, path: string, name?: string }[],
 * }} Mapping
 * @typedef {{
 *   ok: boolean, requestId: string, summary: Record<string, number>, pending: number,
 *   targets: Record<string, unknown>[], held: Held[],
 * }} SyncAnswer
 * @typedef {{ kind: string, sequence: number, after?: number, unknownKey?: boolean }} Problem
 * @typedef {{
 *   ok: boolean, covered?: boolean, unverifiable?: number, records: number, checkpoints: number, problem?: Problem, from?: number, cutProved?: boolean,
 *   sealed?: { sequence: number, time: string }, accepted?: number, unchecked?: number,
 * }} Verification
 * @typedef {{ name: string, role: string, namespaces?: string[], endsAt?: string }} Session
 * @typedef {Readonly<Record<string, string | number | undefined>>} Query
 */

/** An error response of the service, or a request without a response. */
export class ApiError extends Error {
  /** @param {{ status: number, code: string, message: string, remedy?: string, requestId?: string }} fields */
  constructor({ status, code, message, remedy = '', requestId }) {
    super(message);
    this.status = status;
    this.code = code;
    this.remedy = remedy;
    this.requestId = requestId;
  }
}

/** @type {string | undefined} */
let token;
/** @type {() => void} */
let onRefused = () => {};

/**
 * @param {string} candidate
 * @returns {Promise<Session>} The owner of the token. The token is stored only if the service accepts it.
 */
export async function signIn(candidate) {
  // A header cannot contain this text, so `fetch` would fail.
  if (/[^\x20-\xff]/.test(candidate))
    throw new ApiError({ status: 401, code: 'UNAUTHENTICATED', message: 'This is not a valid token.' });
  const session = await call('GET', 'api/v1/session', { bearer: candidate });
  token = candidate;
  return session;
}

/** Returns the session of a sign-in by OIDC. @returns {Promise<Session>} */
export function sessionOfCookie() {
  return call('GET', 'api/v1/session', {});
}

/**
 * Returns whether people can sign in by OIDC, and whether this browser has a session. Without an answer, only tokens work.
 * @returns {Promise<{ oidc: boolean, session: boolean }>}
 */
export async function signInMethods() {
  try {
    return await call('GET', 'auth/methods', {});
  } catch (error) {
    if (error instanceof ApiError) return { oidc: false, session: false };
    throw error;
  }
}

/** Forgets the token. The session of a sign-in by OIDC ends with `endSession`. */
export function signOut() {
  token = undefined;
}

export function endSession() {
  return send('POST', 'auth/logout', {});
}

// A request without a recent action of the person must not renew the session.
let lastAction = Date.now();
for (const kind of ['pointerdown', 'keydown']) addEventListener(kind, () => (lastAction = Date.now()), true);
const IDLE_MS = 60_000;

/** @param {() => void} listener Called when the service rejects the token. */
export function onSignedOut(listener) {
  onRefused = listener;
}

/**
 * @param {string} path
 * @param {Query} [query]
 * @param {AbortSignal} [signal]
 */
export function get(path, query = {}, signal) {
  return call('GET', path + queryText(query), { signal });
}

/**
 * Returns undefined when the resource does not exist.
 * @param {string} path
 * @param {AbortSignal} signal
 */
export async function find(path, signal) {
  try {
    return await get(path, {}, signal);
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 'NOT_FOUND') throw error;
    return undefined;
  }
}

/**
 * @param {string} path
 * @param {object} [body]
 */
export function post(path, body) {
  return call('POST', path, { body });
}

/**
 * Returns the response, whose body can be read as a stream.
 * @param {string} path
 * @param {Query} query
 * @param {AbortSignal} signal
 */
export function open(path, query, signal) {
  return send('GET', path + queryText(query), { signal });
}

/** @param {Query} query */
function queryText(query) {
  const present = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  const text = new URLSearchParams(present.map(([name, value]) => [name, String(value)])).toString();
  return text === '' ? '' : `?${text}`;
}

/**
 * @typedef {{ body?: object | undefined, signal?: AbortSignal | undefined, bearer?: string | undefined }} Options
 * @param {string} method
 * @param {string} path
 * @param {Options} options
 */
async function call(method, path, options) {
  const response = await send(method, path, options);
  const text = await orUnreachable(response.text(), 'The response of the service ended early.');
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw foreignResponse(response.status);
  }
}

/**
 * Converts network failures to an ApiError. `fetch` throws a TypeError for all of them: no response, an incomplete
 * response, or an invalid header.
 * @template T
 * @param {Promise<T>} answer
 * @param {string} message
 * @returns {Promise<T>}
 */
async function orUnreachable(answer, message) {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const remedy = 'Check that the service is running and reachable from this page.';
    throw new ApiError({ status: 0, code: 'UNREACHABLE', message, remedy });
  }
}

/**
 * @param {string} method
 * @param {string} path
 * @param {Options} options
 */
async function send(method, path, { body, signal, bearer = token }) {
  const answer = fetch(path, {
    method,
    headers: {
      ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
      ...(Date.now() - lastAction > IDLE_MS ? { 'x-secretbridge-idle': '1' } : {}),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    body: body === undefined ? null : JSON.stringify(body),
    signal: signal ?? null,
    credentials: bearer === undefined ? 'same-origin' : 'omit',
    cache: 'no-store',
    redirect: 'error',
  });
  const response = await orUnreachable(answer, 'The service does not respond.');
  if (response.ok) return response;
  const error = await errorOf(response);
  if (error.status === 401 && bearer === token) onRefused();
  throw error;
}

/** @param {Response} response */
async function errorOf(response) {
  const { status } = response;
  const text = await orUnreachable(response.text(), 'The response of the service ended early.');
  try {
    return new ApiError({ status, ...JSON.parse(text) });
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return foreignResponse(status);
  }
}

/** Creates the error for a response from another server, such as a proxy. @param {number} status */
function foreignResponse(status) {
  return new ApiError({
    status,
    code: `HTTP_${status}`,
    message: 'The response is not from secretbridge.',
    remedy: 'Check what is between this page and the service, such as a proxy.',
  });
}
