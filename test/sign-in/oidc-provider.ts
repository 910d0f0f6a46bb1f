import { createServer } from 'node:http';
import Provider, { type AccountClaims, type Configuration } from 'oidc-provider';
import { closeServer, listen } from '../fakes/loopback.ts';
import { type Browser, createBrowser } from './browser.ts';

export interface TestProvider extends AsyncDisposable {
  readonly issuer: string;
  /** Signs a person in at this address, and returns the address to which the provider sends the browser. */
  signIn(url: string, account: string, browser?: Browser): Promise<string>;
  /** Confirms a sign-in on another device. */
  confirmDevice(verificationUri: string, userCode: string, account: string): Promise<void>;
}

export const CLIENT_ID = 'bridge';
export const CLIENT_SECRET = 'marker-client-secret-58c1a0';

export interface TestProviderOptions {
  readonly claims: Readonly<Record<string, Omit<AccountClaims, 'sub'>>>;
  readonly redirectUris: readonly string[];
  readonly configuration?: Configuration;
}

/** Starts `oidc-provider` with a page that signs in the person of the test. */
export async function startOidcProvider(options: TestProviderOptions): Promise<TestProvider> {
  const server = createServer();
  const issuer = `http://127.0.0.1:${await listen(server)}`;
  const provider = new Provider(issuer, configurationOf(options));
  let account = '';
  provider.use(async (ctx, next) => {
    if (!ctx.path.startsWith('/interaction/')) return next();
    const { prompt } = await provider.interactionDetails(ctx.req, ctx.res);
    const result = prompt.name === 'login' ? { login: { accountId: account } } : {};
    await provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: true });
  });
  server.on('request', provider.callback());

  return {
    issuer,
    async signIn(url, name, browser = createBrowser()) {
      account = name;
      const redirectUri = new URL(url).searchParams.get('redirect_uri') ?? '';
      return (await browser.open(url, { until: redirectUri })).url;
    },
    async confirmDevice(verificationUri, userCode, name) {
      account = name;
      const browser = createBrowser();
      const entered = await browser.open(verificationUri);
      const fields = { xsrf: fieldIn(entered.text, 'xsrf'), user_code: userCode };
      const shown = await browser.open(verificationUri, { form: fields });
      await browser.open(verificationUri, {
        form: { xsrf: fieldIn(shown.text, 'xsrf'), user_code: userCode, confirm: 'yes' },
      });
    },
    [Symbol.asyncDispose]: () => closeServer(server),
  };
}

function fieldIn(html: string, name: string): string {
  return new RegExp(`name="${name}" value="([^"]*)"`).exec(html)?.[1] ?? '';
}

function configurationOf({ claims, redirectUris, configuration }: TestProviderOptions): Configuration {
  return {
    clients: [
      {
        client_id: CLIENT_ID,
        client_secret: CLIENT_SECRET,
        redirect_uris: [...redirectUris],
        grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
      },
    ],
    claims: {
      openid: ['sub'],
      email: ['email', 'email_verified'],
      profile: ['name', 'preferred_username'],
      groups: ['groups'],
    },
    cookies: { keys: ['test'] },
    features: { devInteractions: { enabled: false }, deviceFlow: { enabled: true } },
    async findAccount(_, id) {
      return { accountId: id, claims: async () => ({ sub: id, ...claims[id] }) };
    },
    async loadExistingGrant(ctx) {
      const { provider, client, session, params } = ctx.oidc;
      const grant = new provider.Grant({
        clientId: client?.clientId ?? '',
        accountId: session?.accountId ?? '',
      });
      grant.addOIDCScope(String(params?.scope));
      await grant.save();
      return grant;
    },
    ...configuration,
  };
}
