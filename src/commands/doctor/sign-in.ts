import { randomBytes } from 'node:crypto';
import type { Config } from '../../config/config.ts';
import { type Clock, clockSkewError } from '../../core/clock.ts';
import { AppError, toAppError } from '../../core/errors.ts';
import { isObject, parseAny } from '../../core/json.ts';
import type { ReadCredential } from '../../providers/credentials.ts';
import { signInError, WRONG_ISSUER, withSignInErrors } from '../../sign-in/failures.ts';
import { createIssuerFetch } from '../../sign-in/issuer-fetch.ts';
import type { Finding } from './sources.ts';

// Tests whether people can sign in by OIDC: the provider's document, its keys, its clock, and the client.

type Oidc = NonNullable<Config['http']['oidc']>;

interface SignInCheckDeps {
  readonly clock: Clock;
  readonly credential: ReadCredential;
}

const DEVICE_REMEDY =
  'Let the provider offer the device flow to this client. Otherwise, people can sign in on the review page only.';

export async function checkSignIn(
  { http: { oidc } }: Pick<Config, 'http'>,
  deps: SignInCheckDeps,
): Promise<readonly Finding[]> {
  if (oidc === undefined) return [];
  const findings: Finding[] = [];
  const attempt = async <T>(name: string, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      const result = await withSignInErrors(work);
      findings.push({ name: `sign-in: ${name}` });
      return result;
    } catch (thrown) {
      findings.push({ name: `sign-in: ${name}`, error: toAppError(thrown) });
      return undefined;
    }
  };
  const { clientSecret } = oidc;
  if (clientSecret !== undefined) await attempt('client secret', () => deps.credential(clientSecret));
  const read = await attempt(`reach ${oidc.issuer}`, () => readDocument(oidc));
  if (read === undefined) return findings;
  const { document, time } = read;
  await attempt('clock', async () => {
    const skewed = time === undefined ? undefined : clockSkewError(deps.clock.now() - time, "the provider's");
    if (skewed !== undefined) throw skewed;
  });
  await attempt('issuer', async () => requireIssuer(document, oidc));
  await attempt('keys', () => requireKeys(document, oidc));
  await attempt('PKCE with S256', async () => requirePkce(document));
  findings.push(deviceFlow(document));
  await attempt(`redirect address ${redirectAddress(oidc) ?? 'at the host that the browser names'}`, () =>
    requireRedirectAddress(document, oidc),
  );
  return findings;
}

type Document = Readonly<Record<string, unknown>>;

async function readDocument(
  oidc: Oidc,
): Promise<{ readonly document: Document; readonly time: number | undefined }> {
  const answer = await get(`${oidc.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, oidc);
  if (answer.status !== 200) throw unavailable('the provider answers with an unexpected status');
  const document = parseAny(await answer.text());
  if (!isObject(document)) throw unavailable('the document of the provider is malformed');
  const time = Date.parse(answer.headers.get('date') ?? '');
  return { document, time: Number.isNaN(time) ? undefined : time };
}

function get(url: string, { issuer }: Oidc): Promise<Response> {
  return createIssuerFetch(issuer)(url, { method: 'GET', headers: {}, body: undefined, redirect: 'manual' });
}

function requireIssuer(document: Document, { issuer }: Oidc): void {
  if (document.issuer !== issuer) throw signInError(WRONG_ISSUER);
}

async function requireKeys(document: Document, oidc: Oidc): Promise<void> {
  const { status } = await get(addressIn(document, 'jwks_uri'), oidc);
  if (status !== 200) throw unavailable('the keys of the provider cannot be read');
}

/** Some providers support PKCE without listing it. */
function requirePkce({ code_challenge_methods_supported: methods }: Document): void {
  if (methods === undefined || (Array.isArray(methods) && methods.includes('S256'))) return;
  throw new AppError('SIGN_IN_REFUSED', {
    detail: 'the provider does not support PKCE with S256',
    remedy: 'Let the provider allow PKCE with the method S256 for this client.',
  });
}

function deviceFlow(document: Document): Finding {
  const name = 'sign-in: device flow for `secretbridge login`';
  if (typeof document.device_authorization_endpoint === 'string') return { name };
  const detail = 'the provider names no device endpoint';
  return { name, warnings: [new AppError('SIGN_IN_REFUSED', { detail, remedy: DEVICE_REMEDY })] };
}

function redirectAddress({ publicUrl }: Oidc): string | undefined {
  return publicUrl === undefined ? undefined : `${publicUrl.replace(/\/+$/, '')}/auth/callback`;
}

/** What a provider answers if the person has not signed in yet, which is no problem of the client. */
const NOT_SIGNED_IN: readonly string[] = [
  'login_required',
  'interaction_required',
  'consent_required',
  'account_selection_required',
];

/** Begins a sign-in without showing a page. A provider must not send a browser to an address that it does not know. */
async function requireRedirectAddress(document: Document, oidc: Oidc): Promise<void> {
  const address = redirectAddress(oidc);
  if (address === undefined) return;
  const url = new URL(addressIn(document, 'authorization_endpoint'));
  const random = () => randomBytes(32).toString('base64url');
  const parameters = {
    ...{ response_type: 'code', client_id: oidc.clientId, redirect_uri: address, scope: 'openid' },
    ...{ state: random(), nonce: random(), prompt: 'none' },
    ...{ code_challenge: random(), code_challenge_method: 'S256' },
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  const { status, error } = await followProvider(url, oidc);
  const isRefused = status >= 400 && status < 500;
  if (!isRefused && (error === undefined || NOT_SIGNED_IN.includes(error))) return;
  throw new AppError('SIGN_IN_REFUSED', {
    detail: 'the provider refuses the client or this redirect address',
    remedy: `Add exactly this redirect address to the client at the provider, and compare \`http.oidc.clientId\`: ${address}`,
  });
}

const MAX_STEPS = 5;

/** Follows redirects from one page of the provider to another. Returns the status of the last page, and its error. */
async function followProvider(
  first: URL,
  oidc: Oidc,
): Promise<{ readonly status: number; readonly error: string | undefined }> {
  for (let url = first, step = 1; ; step += 1) {
    const { status, headers } = await get(url.href, oidc);
    const next = URL.parse(headers.get('location') ?? '', url.href);
    const error = next?.searchParams.get('error') ?? undefined;
    const isOwnPage = headers.has('location') && next?.origin === first.origin && error === undefined;
    if (!isOwnPage || step === MAX_STEPS) return { status, error };
    url = next;
  }
}

function addressIn(document: Document, member: string): string {
  const address = document[member];
  if (typeof address === 'string' && URL.canParse(address)) return address;
  throw unavailable(`the document of the provider has no \`${member}\``);
}

function unavailable(detail: string): AppError {
  return new AppError('OIDC_UNAVAILABLE', { detail });
}
