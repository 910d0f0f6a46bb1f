// Only this module has access to the token. The token is kept in memory, and not in the URL, a cookie or the browser's
// storage. So the person must enter the token again after a reload, and no other site can make the browser send it.
// After a sign-in by OIDC there is no token here: the browser sends the cookie of the session, which scripts cannot read.
import type { paths } from './api-types.ts';
import type { Session } from './types.ts';

type Method = 'get' | 'post';
type Operation<P extends keyof paths, M extends Method> = NonNullable<paths[P][M]>;
type Answer<P extends keyof paths, M extends Method> = Json<Operation<P, M>>;
type Json<O> = O extends { responses: { 200: { content: { 'application/json': infer Body } } } }
  ? Body
  : never;
type Query<P extends keyof paths> =
  Operation<P, 'get'> extends { parameters: { query?: infer Q } }
    ? { readonly [Name in keyof Q]?: string | number | boolean | undefined }
    : never;
type Body<P extends keyof paths> =
  Operation<P, 'post'> extends {
    requestBody?: { content: { 'application/json': infer B } };
  }
    ? B
    : never;

interface GetOptions<P extends keyof paths> {
  /** The values of the `{…}` in the path. */
  readonly path?: Readonly<Record<string, string | number>>;
  readonly query?: Query<P>;
  readonly signal?: AbortSignal | undefined;
}

interface ErrorFields {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly remedy?: string;
  readonly requestId?: string;
  readonly requests?: readonly string[];
}

/** An error response of the service, or a request without a response. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly remedy: string;
  readonly requestId: string | undefined;
  /** With `APPROVAL_NEEDED`: the ids of the requests for approval. */
  readonly requests: readonly string[];

  constructor({ status, code, message, remedy = '', requestId, requests = [] }: ErrorFields) {
    super(message);
    this.status = status;
    this.code = code;
    this.remedy = remedy;
    this.requestId = requestId;
    this.requests = requests;
  }
}

let token: string | undefined;
let onRefused = (): void => {};

/** Returns the owner of the token. Stores the token only if the service accepts it. */
export async function signIn(candidate: string): Promise<Session> {
  // A header cannot contain this text, so `fetch` would fail.
  if (/[^\x20-\xff]/.test(candidate))
    throw new ApiError({ status: 401, code: 'UNAUTHENTICATED', message: 'This is not a valid token.' });
  const session = await call<Session>('GET', 'api/v1/session', { bearer: candidate });
  token = candidate;
  return session;
}

/** Returns the session of a sign-in by OIDC. */
export function sessionOfCookie(): Promise<Session> {
  return call('GET', 'api/v1/session', {});
}

export interface SignInMethods {
  readonly oidc: boolean;
  readonly session: boolean;
}

/** Returns whether people can sign in by OIDC, and whether this browser has a session. Without an answer, only tokens work. */
export async function signInMethods(): Promise<SignInMethods> {
  try {
    return await call('GET', 'auth/methods', {});
  } catch (error) {
    if (error instanceof ApiError) return { oidc: false, session: false };
    throw error;
  }
}

/** Forgets the token. The session of a sign-in by OIDC ends with `endSession`. */
export function signOut(): void {
  token = undefined;
}

export function endSession(): Promise<Response> {
  return send('POST', 'auth/logout', {});
}

/** @param listener Called when the service rejects the token. */
export function onSignedOut(listener: () => void): void {
  onRefused = listener;
}

// A request without a recent action of the person must not renew the session.
const IDLE_MS = 60_000;
let lastAction = Date.now();
for (const kind of ['pointerdown', 'keydown'])
  addEventListener(
    kind,
    () => {
      lastAction = Date.now();
    },
    true,
  );

export function get<P extends keyof paths>(path: P, options: GetOptions<P> = {}): Promise<Answer<P, 'get'>> {
  const { signal } = options;
  return call('GET', addressOf(path, options.path) + queryText(options.query), { signal });
}

/** Returns undefined when the resource does not exist. */
export async function find<P extends keyof paths>(
  path: P,
  options: GetOptions<P>,
): Promise<Answer<P, 'get'> | undefined> {
  try {
    return await get(path, options);
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 'NOT_FOUND') throw error;
    return undefined;
  }
}

export function post<P extends keyof paths>(
  path: P,
  { path: values, body }: { path?: Readonly<Record<string, string | number>>; body?: Body<P> },
): Promise<Answer<P, 'post'>> {
  return call('POST', addressOf(path, values), { body });
}

/** Returns the response, whose body can be read as a stream. */
export function open<P extends keyof paths>(
  path: P,
  query: Query<P> | undefined,
  signal: AbortSignal,
): Promise<Response> {
  return send('GET', addressOf(path) + queryText(query), { signal });
}

/** Returns the address relative to the page, because a proxy may serve the page under a path of its own. */
function addressOf(path: string, values: Readonly<Record<string, string | number>> = {}): string {
  return path.slice(1).replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(values[name] ?? ''));
}

function queryText(query: Readonly<Record<string, unknown>> = {}): string {
  const present = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  const text = new URLSearchParams(present.map(([name, value]) => [name, String(value)])).toString();
  return text === '' ? '' : `?${text}`;
}

interface Options {
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
  readonly bearer?: string | undefined;
}

async function call<T>(method: string, path: string, options: Options): Promise<T> {
  const response = await send(method, path, options);
  const text = await orUnreachable(response.text(), 'The response of the service ended early.');
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw foreignResponse(response.status);
  }
}

/**
 * Converts network failures to an ApiError. `fetch` throws a TypeError for all of them: no response, an incomplete
 * response, or an invalid header.
 */
async function orUnreachable<T>(answer: Promise<T>, message: string): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const remedy = 'Check that the service is running and reachable from this page.';
    throw new ApiError({ status: 0, code: 'UNREACHABLE', message, remedy });
  }
}

async function send(
  method: string,
  path: string,
  { body, signal, bearer = token }: Options,
): Promise<Response> {
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

async function errorOf(response: Response): Promise<ApiError> {
  const { status } = response;
  const text = await orUnreachable(response.text(), 'The response of the service ended early.');
  try {
    return new ApiError({ status, ...(JSON.parse(text) as Omit<ErrorFields, 'status'>) });
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return foreignResponse(status);
  }
}

/** Creates the error for a response from another server, such as a proxy. */
function foreignResponse(status: number): ApiError {
  return new ApiError({
    status,
    code: `HTTP_${status}`,
    message: 'The response is not from secretbridge.',
    remedy: 'Check what is between this page and the service, such as a proxy.',
  });
}
