import type { FastifyInstance, FastifyRequest, RouteShorthandOptions } from 'fastify';
import { AppError } from '../../core/errors.ts';
import { personOf } from '../../core/person.ts';
import type { Session } from '../../sign-in/sessions.ts';
import { type CliCredentials, RoleMissing, type SignIn } from '../../sign-in/sign-in.ts';
import type { RouteDeps } from '../deps.ts';
import { CLI_TOKEN_PREFIX, cliSession } from '../oidc-logins.ts';
import { type Description, describe, NO_QUERY } from '../openapi.ts';
import { NO_BODY } from '../request-input.ts';
import {
  clearCookie,
  cookieOf,
  PENDING_COOKIE,
  publicUrlOf,
  SESSION_COOKIE,
  setCookie,
} from '../session-cookies.ts';
import { browserSession } from '../session-login.ts';
import { sendErrorPage } from '../sign-in-page.ts';

/** The browser forgets a started sign-in after this time. */
const PENDING_SECONDS = 600;
const MAX_FRAGMENT = 1_000;
/** An unauthenticated request to these routes causes a request to the provider. */
const RATE_LIMIT = { max: 60, timeWindow: 60_000 };

const text = { type: 'string' } as const;

/** The sign-in, and the records about it. */
interface SignInDeps extends Pick<RouteDeps, 'signInRecords'> {
  readonly signIn: () => SignIn;
}

/** Serves the sign-in by OIDC. Without `http.oidc`, only the list of the ways to sign in exists. */
export function addSignInRoutes(app: FastifyInstance, { signIn, signInRecords }: RouteDeps): void {
  app.get(
    '/auth/methods',
    route({
      id: 'signInMethods',
      summary: 'The ways to sign in to the review page.',
      answer: 'SignInMethods',
    }),
    async (request) => ({
      oidc: signIn !== undefined,
      session: signIn !== undefined && cookieOf(request, SESSION_COOKIE) !== undefined,
    }),
  );
  if (signIn === undefined) return;
  const deps = { signIn, signInRecords };
  addBrowserRoutes(app, deps);
  addDeviceRoutes(app, deps);
  addSignOut(app, deps);
}

/** Returns the options of a route. An unauthenticated request causes a request to the provider, so its rate is limited. */
function route(description: Omit<Description, 'tag'>): RouteShorthandOptions {
  return {
    config: { access: 'public', rateLimit: RATE_LIMIT },
    schema: describe({ tag: 'sign-in', query: NO_QUERY, ...description }),
  };
}

function addBrowserRoutes(app: FastifyInstance, { signIn: getSignIn, signInRecords }: SignInDeps): void {
  app.get<{ Querystring: { to?: string } }>(
    '/auth/login',
    {
      ...route({
        ...{ id: 'login', summary: 'Sends the browser to the OIDC provider.', query: LOGIN_QUERY },
        ...{ status: 303, mediaTypes: [] },
      }),
      errorHandler: sendErrorPage,
    },
    async (request, reply) => {
      const signIn = getSignIn();
      const redirectUri = `${publicUrlOf(request, signIn.publicUrl)}/auth/callback`;
      const { url, pending } = await signIn.begin(redirectUri, request.query.to ?? '');
      setCookie(reply, PENDING_COOKIE, pending, PENDING_SECONDS);
      return reply.redirect(url, 303);
    },
  );
  app.get(
    '/auth/callback',
    {
      ...route({
        id: 'callback',
        summary: 'Ends a sign-in: sets the session cookie, and sends the browser to the review page.',
        query: CALLBACK_QUERY,
        ...{ status: 303, mediaTypes: [] },
      }),
      errorHandler: sendErrorPage,
    },
    async (request, reply) => {
      const signIn = getSignIn();
      clearCookie(reply, PENDING_COOKIE);
      const { searchParams } = new URL(request.url, 'http://localhost');
      const finish = () => signIn.finish(searchParams, cookieOf(request, PENDING_COOKIE));
      const { session, returnTo } = await namingRefused(request, finish);
      await signInRecords.signedIn(request, session.person);
      setCookie(reply, SESSION_COOKIE, signIn.sessions.seal(session));
      return reply.redirect(`${signIn.publicUrl ?? ''}/${returnTo}`, 303);
    },
  );
}

const LOGIN_QUERY = {
  type: 'object',
  additionalProperties: false,
  properties: {
    to: {
      ...{ type: 'string', pattern: '^#[\\x21-\\x7e]*$', maxLength: MAX_FRAGMENT },
      description: 'The fragment of the page to show after the sign-in.',
    },
  },
} as const;

/** Providers add parameters of their own. */
const CALLBACK_QUERY = {
  type: 'object',
  properties: { code: text, state: text, iss: text, error: text },
} as const;

function addDeviceRoutes(app: FastifyInstance, { signIn, signInRecords }: SignInDeps): void {
  app.post(
    '/auth/device',
    route({
      id: 'deviceLogin',
      summary: 'Starts a sign-in of the command line, which the person confirms in any browser.',
      ...{ body: NO_BODY, answer: 'DeviceSignIn' },
    }),
    async () => signIn().beginDevice(),
  );
  app.post<{ Body: { deviceCode?: string; renewal?: string } }>(
    '/auth/token',
    route({
      id: 'deviceToken',
      summary: 'Returns the token of a confirmed sign-in (`deviceCode`), or a new token (`renewal`).',
      ...{ body: TOKEN_BODY, answer: 'DeviceToken', otherAnswers: { 202: 'DevicePending' } },
    }),
    async (request, reply) => {
      const { deviceCode, renewal } = request.body;
      if (renewal !== undefined) return answerOf(await signIn().renewCli(renewal));
      if (deviceCode === undefined)
        throw new AppError('INVALID_REQUEST', { detail: 'the body needs `deviceCode` or `renewal`' });
      const answer = await namingRefused(request, () => signIn().finishDevice(deviceCode));
      if ('slowDown' in answer) return reply.code(202).send({ pending: true, ...answer });
      await signInRecords.signedIn(request, answer.session.person);
      return answerOf(answer);
    },
  );
}

const MAX_TEXT = 16_384;
const TOKEN_BODY = {
  type: 'object',
  additionalProperties: false,
  properties: {
    deviceCode: { ...text, maxLength: MAX_TEXT },
    renewal: { ...text, maxLength: MAX_TEXT },
  },
} as const;

function answerOf({ session, token, renewal, renewAfter }: CliCredentials) {
  const { person, endsAt } = session;
  return {
    ...{ name: person.name, token: `${CLI_TOKEN_PREFIX}${token}`, renewal },
    renewAfter: new Date(renewAfter).toISOString(),
    endsAt: new Date(endsAt).toISOString(),
  };
}

function addSignOut(app: FastifyInstance, { signIn: getSignIn, signInRecords }: SignInDeps): void {
  app.post(
    '/auth/logout',
    route({
      id: 'logout',
      summary: 'Ends the session of the cookie, or of the token of `secretbridge login`, in all replicas.',
      ...{ body: NO_BODY, status: 204, mediaTypes: [] },
    }),
    async (request, reply) => {
      const signIn = getSignIn();
      const session = await sessionOf(request, signIn);
      clearCookie(reply, SESSION_COOKIE);
      if (session !== undefined) {
        signIn.sessions.ended(session.id);
        await signInRecords.signedOut(request, session.person, session.id);
      }
      return reply.code(204).send();
    },
  );
}

/** Returns undefined if the session has ended already. */
async function sessionOf(request: FastifyRequest, signIn: SignIn): Promise<Session | undefined> {
  const [, token] = /^bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
  try {
    return await (token === undefined ? browserSession(request, signIn) : cliSession(token, signIn));
  } catch (error) {
    if (error instanceof AppError && error.code === 'SESSION_ENDED') return undefined;
    throw error;
  }
}

/** Names a person without a role in the record of the refusal. */
async function namingRefused<T>(request: FastifyRequest, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (error instanceof RoleMissing) request.requester = personOf(error.signedIn.person);
    throw error;
  }
}
