import type * as Client from 'openid-client';
import type { Clock } from '../core/clock.ts';
import type { AppError } from '../core/errors.ts';
import { isLoopback } from '../core/loopback.ts';
import type { SecretValue } from '../core/secret-value.ts';
import { type Claims, groupsIn } from './claims.ts';
import { createDocumentCache, type DocumentCache } from './document-cache.ts';
import { signInError, WRONG_ISSUER, withSignInErrors } from './failures.ts';
import { createIssuerFetch } from './issuer-fetch.ts';
import { createTokenVerifier, type TokenVerifier } from './token-verifier.ts';

export interface ProviderConfig {
  readonly issuer: string;
  readonly clientId: string;
  readonly scopes?: readonly string[] | undefined;
  readonly groupsClaim: string;
}

export interface ProviderDeps {
  readonly clock: Clock;
  /** Returns the current secret of the client. Undefined for a public client. */
  readonly clientSecret: (() => Promise<SecretValue>) | undefined;
  /** Called when the provider's document cannot be read any more, and with `undefined` when it can be read again. */
  readonly onChange: (error: AppError | undefined) => void;
}

/** What the service remembers of a sign-in until the browser comes back. */
export interface PendingSignIn {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  readonly redirectUri: string;
}

/** A sign-in on another device (RFC 8628). */
export interface DeviceSignIn {
  readonly deviceCode: string;
  readonly userCode: string;
  readonly verificationUri: string;
  readonly verificationUriComplete?: string;
  readonly expiresInSeconds: number;
  readonly intervalSeconds: number;
}

export interface ProviderAnswer {
  readonly claims: Claims;
  readonly refreshToken?: string;
}

/**
 * An OIDC provider. All methods throw AppError SIGN_IN_REFUSED for an answer that must not be trusted, and
 * OIDC_UNAVAILABLE if there is no usable answer.
 */
export interface Provider {
  begin(redirectUri: string): Promise<{ readonly url: string; readonly pending: PendingSignIn }>;
  /** Ends a sign-in in a browser. @param parameters The parameters with which the browser came back. */
  finish(parameters: URLSearchParams, pending: PendingSignIn): Promise<ProviderAnswer>;
  beginDevice(): Promise<DeviceSignIn>;
  /** Returns how many seconds to wait longer, or the answer. */
  finishDevice(deviceCode: string): Promise<ProviderAnswer | { readonly slowDown: boolean }>;
  refresh(refreshToken: string): Promise<ProviderAnswer>;
  /** Verifies a token that a client presents. */
  verify(token: string): Promise<Claims>;
  /** Returns why the provider's document could not be read lately. */
  problem(): AppError | undefined;
}

const TIMEOUT_SECONDS = 5;
const TOLERANCE_SECONDS = 60;
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

interface Discovered {
  readonly client: typeof Client;
  readonly metadata: Client.ServerMetadata;
  readonly verifier: TokenVerifier;
}

export function createProvider(config: ProviderConfig, deps: ProviderDeps): Provider {
  return new OidcProvider(config, deps);
}

class OidcProvider implements Provider {
  readonly #config: ProviderConfig;
  readonly #deps: ProviderDeps;
  readonly #fetch: Client.CustomFetch;
  readonly #documents: DocumentCache<Discovered>;

  constructor(config: ProviderConfig, deps: ProviderDeps) {
    this.#config = config;
    this.#deps = deps;
    this.#fetch = createIssuerFetch(config.issuer);
    this.#documents = createDocumentCache({
      read: () => withSignInErrors(() => this.#discover()),
      clock: deps.clock,
      onChange: deps.onChange,
    });
  }

  problem() {
    return this.#documents.problem();
  }

  begin(redirectUri: string) {
    return withSignInErrors(async () => {
      const { client, metadata } = await this.#discovered();
      const pending = {
        state: client.randomState(),
        nonce: client.randomNonce(),
        verifier: client.randomPKCECodeVerifier(),
        redirectUri,
      };
      const url = client.buildAuthorizationUrl(await this.#client(), {
        redirect_uri: redirectUri,
        scope: this.#scope(metadata),
        state: pending.state,
        nonce: pending.nonce,
        code_challenge: await client.calculatePKCECodeChallenge(pending.verifier),
        code_challenge_method: 'S256',
      });
      return { url: url.href, pending };
    });
  }

  finish(parameters: URLSearchParams, { state, nonce, verifier, redirectUri }: PendingSignIn) {
    return withSignInErrors(async () => {
      const { client, metadata } = await this.#discovered();
      const from = parameters.get('iss');
      if (from !== null && from !== metadata.issuer) throw signInError(WRONG_ISSUER);
      const url = new URL(redirectUri);
      url.search = parameters.toString();
      const answer = await client.authorizationCodeGrant(await this.#client(), url, {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: verifier,
        idTokenExpected: true,
      });
      return this.#answer(answer);
    });
  }

  beginDevice() {
    return withSignInErrors(async () => {
      const { client, metadata } = await this.#discovered();
      const offline = metadata.scopes_supported?.includes('offline_access') ? ' offline_access' : '';
      // Dex reads the secret of the client only in the form.
      const configuration = await this.#client('client_secret_post');
      const answer = await client.initiateDeviceAuthorization(configuration, {
        scope: `${this.#scope(metadata)}${this.#config.scopes === undefined ? offline : ''}`,
      });
      const complete = answer.verification_uri_complete;
      return {
        deviceCode: answer.device_code,
        userCode: answer.user_code,
        verificationUri: answer.verification_uri,
        ...(complete === undefined ? {} : { verificationUriComplete: complete }),
        expiresInSeconds: answer.expires_in,
        intervalSeconds: answer.interval ?? TIMEOUT_SECONDS,
      };
    });
  }

  finishDevice(deviceCode: string) {
    return withSignInErrors(async () => {
      const { client } = await this.#discovered();
      try {
        const grant = { device_code: deviceCode };
        return await this.#answer(
          await client.genericGrantRequest(await this.#client(), DEVICE_GRANT, grant),
        );
      } catch (error) {
        if (!(error instanceof client.ResponseBodyError)) throw error;
        if (error.error === 'authorization_pending') return { slowDown: false };
        if (error.error === 'slow_down') return { slowDown: true };
        throw error;
      }
    });
  }

  refresh(refreshToken: string) {
    return withSignInErrors(async () => {
      const { client } = await this.#discovered();
      const answer = await this.#answer(await client.refreshTokenGrant(await this.#client(), refreshToken));
      return { refreshToken, ...answer };
    });
  }

  verify(token: string) {
    return withSignInErrors(async () => (await this.#discovered()).verifier.verify(token, 'caller'));
  }

  /** Verifies the signature too, and completes the claims from the userinfo endpoint. */
  async #answer(answer: Client.TokenEndpointResponse): Promise<ProviderAnswer> {
    const { client, metadata, verifier } = await this.#discovered();
    const { id_token: idToken, access_token: accessToken, refresh_token: refreshToken } = answer;
    if (idToken === undefined)
      throw signInError(['SIGN_IN_REFUSED', 'the provider has sent no ID token', SCOPES_REMEDY]);
    const claims = await verifier.verify(idToken, 'provider');
    const isComplete =
      groupsIn(claims, this.#config.groupsClaim) !== undefined || metadata.userinfo_endpoint === undefined;
    const more = isComplete ? {} : await client.fetchUserInfo(await this.#client(), accessToken, claims.sub);
    return {
      claims: { ...more, ...claims },
      ...(refreshToken === undefined ? {} : { refreshToken }),
    };
  }

  #scope({ scopes_supported: supported = [] }: Client.ServerMetadata): string {
    const groups = supported.includes('groups') ? ['groups'] : [];
    return (this.#config.scopes ?? ['openid', 'profile', 'email', ...groups]).join(' ');
  }

  /**
   * Returns the client with the current secret.
   * @param preferred How to send the secret, if the provider supports it.
   */
  async #client(preferred: AuthMethod = 'client_secret_basic'): Promise<Client.Configuration> {
    const { client, metadata } = await this.#discovered();
    const { clock, clientSecret } = this.#deps;
    const secret = await clientSecret?.();
    const configuration = new client.Configuration(
      metadata,
      this.#config.clientId,
      {
        [client.clockSkew]: Math.round((clock.now() - Date.now()) / 1_000),
        [client.clockTolerance]: TOLERANCE_SECONDS,
      },
      secret === undefined ? client.None() : authentication(client, metadata, secret, preferred),
    );
    configuration[client.customFetch] = this.#fetch;
    configuration.timeout = TIMEOUT_SECONDS;
    if (isLoopback(this.#config.issuer)) client.allowInsecureRequests(configuration);
    return configuration;
  }

  #discovered(): Promise<Discovered> {
    return this.#documents.get();
  }

  async #discover(): Promise<Discovered> {
    const { issuer, clientId } = this.#config;
    const client = await import('openid-client');
    const configuration = await client.discovery(new URL(issuer), clientId, undefined, client.None(), {
      [client.customFetch]: this.#fetch,
      timeout: TIMEOUT_SECONDS,
      ...(isLoopback(issuer) ? { execute: [client.allowInsecureRequests] } : {}),
    });
    const metadata = configuration.serverMetadata();
    const verifier = await createTokenVerifier(metadata, {
      ...{ clientId, clock: this.#deps.clock, fetch: this.#fetch, toleranceSeconds: TOLERANCE_SECONDS },
    });
    return { client, metadata, verifier };
  }
}

const SCOPES_REMEDY = 'Add `openid` to `http.oidc.scopes`, and check the client at the provider.';

type AuthMethod = 'client_secret_basic' | 'client_secret_post';

/** Sends the secret in a way that the provider supports. The default is that of OpenID Connect Discovery 1.0. */
function authentication(
  client: typeof Client,
  { token_endpoint_auth_methods_supported: methods = ['client_secret_basic'] }: Client.ServerMetadata,
  secret: SecretValue,
  preferred: AuthMethod,
): Client.ClientAuth {
  const text = secret.revealText();
  const isBasic = methods.includes(preferred)
    ? preferred === 'client_secret_basic'
    : methods.includes('client_secret_basic');
  return isBasic ? client.ClientSecretBasic(text) : client.ClientSecretPost(text);
}
