import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { bodyOf } from '../body.ts';
import { type Authority, createAuthority, type IssueOptions } from '../certificates.ts';
import { closeServer, listen } from '../loopback.ts';
import { deliver, type Fault } from './faults.ts';
import { createLogin, type Login, TENANT } from './login.ts';
import { createObjects, type Objects } from './objects.ts';
import { answerVault, type Cer, failure, type Jwk, type Reply, type VaultSettings } from './vault.ts';

/** The part of the fake that receives a request. A fault can be limited to one part. */
export type Service = 'vault' | 'authority' | 'identity';

/**
 * A fake of Azure Key Vault and of its login authority, Microsoft Entra ID. Both use HTTPS with certificates from a
 * test CA. The fake also serves a managed identity endpoint over HTTP. The fake supports only the requests that
 * secretbridge sends.
 */
export interface AzureServer extends AsyncDisposable {
  /** The address of the vault. */
  readonly address: string;
  /** The address of the authority, as the value of AZURE_AUTHORITY_HOST. */
  readonly authorityHost: string;
  /** The address of the managed identity endpoint, as the value of IDENTITY_ENDPOINT. */
  readonly identityEndpoint: string;
  /** The certificate of the test CA, as PEM. */
  readonly ca: string;
  readonly secrets: Objects<string>;
  readonly keys: Objects<Jwk>;
  readonly certificates: Objects<Cer>;
  readonly login: Login;
  /** How long both addresses of an object deny that it exists after its deletion or recovery. Default: 0. */
  deletionLagMs: number;
  /** The inner code of the 403 for a secret that was disabled and then deleted. Default: `SecretDisabled`. */
  deletedDisabled: NonNullable<VaultSettings['deletedDisabled']>;
  /** The received requests in order, such as `vault GET /secrets/a`, without query strings. */
  readonly requests: string[];
  /** The number of connections to the vault and the authority. */
  readonly connections: number;
  /** Sets or removes the fault for the requests whose line in `requests` matches. */
  fail(fault: Fault | undefined, line?: RegExp): void;
  /** Denies the requests whose line in `requests` matches, with this inner code in the error. */
  deny(line: RegExp | undefined, inner?: string): void;
  /**
   * Called when the fake leaves a request unanswered. A test can then end the request instead of waiting for a timeout.
   */
  onHang: () => void;
  /** If set, changes the link to the next page in list answers. */
  nextLink: ((link: string) => string) | undefined;
  /** If set, changes the body of successful answers of the vault. */
  rewrite: ((body: string) => string) | undefined;
  /** The resource in the authentication challenge. */
  resource: string;
  /** The tenant in the authentication challenge. */
  tenant: string;
}

export interface AzureServerOptions {
  readonly now?: () => number;
  readonly authority?: Authority;
  readonly certificate?: IssueOptions;
}

export async function startAzureServer({
  now = () => Date.now(),
  authority = createAuthority(),
  certificate = {},
}: AzureServerOptions = {}): Promise<AzureServer> {
  const issued = authority.issue({ names: ['127.0.0.1', 'localhost'], ...certificate });
  const lag = () => server.deletionLagMs;
  const contents = {
    secrets: createObjects<string>(now, lag),
    keys: createObjects<Jwk>(now, lag),
    certificates: createObjects<Cer>(now, lag),
  };
  const login = createLogin(now);
  let fault: { readonly kind: Fault; readonly line: RegExp } | undefined;
  let denied: { readonly line: RegExp; readonly inner: string } | undefined;

  const answer = async (service: Service, incoming: IncomingMessage): Promise<Reply> => {
    const url = new URL(incoming.url ?? '/', 'https://double');
    if (service === 'identity') return login.answerIdentity(url, incoming.headers);
    const body = (await bodyOf(incoming))?.toString() ?? '';
    const method = incoming.method ?? '';
    if (service === 'authority') return login.answerAuthority(server.authorityHost, method, url, body);
    const token = /^Bearer (.+)$/.exec(incoming.headers.authorization ?? '')?.[1] ?? '';
    if (!login.accepts(token)) return challenge(server);
    if (denied?.line.test(lineOf(service, incoming))) return failure(403, 'Forbidden', denied.inner);
    const reply = answerVault(contents, server, url);
    if (server.rewrite !== undefined && reply.status === 200)
      return { ...reply, body: server.rewrite(reply.body) };
    return server.nextLink === undefined ? reply : relink(reply, server.nextLink);
  };

  const handle = (service: Service) => async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const line = lineOf(service, incoming);
    server.requests.push(line);
    outgoing.setHeader('date', new Date(now()).toUTCString());
    const applies = fault?.line.test(line) === true ? fault.kind : undefined;
    await deliver(await answer(service, incoming), applies, {
      incoming,
      outgoing,
      onHang: () => server.onHang(),
    });
  };

  const vault = createHttpsServer(issued, handle('vault'));
  const entra = createHttpsServer(issued, handle('authority'));
  const identity = createHttpServer(handle('identity'));
  const servers = [vault, entra, identity];
  let connections = 0;
  for (const secure of [vault, entra]) {
    secure.on('secureConnection', () => {
      connections += 1;
    });
  }
  const [port, authorityPort, identityPort] = await Promise.all(servers.map(listen));

  const server: AzureServer = {
    ...contents,
    address: `https://127.0.0.1:${port}`,
    authorityHost: `https://127.0.0.1:${authorityPort}`,
    identityEndpoint: `http://127.0.0.1:${identityPort}/msi/token`,
    ca: authority.ca,
    login,
    deletionLagMs: 0,
    deletedDisabled: 'SecretDisabled',
    requests: [],
    get connections() {
      return connections;
    },
    onHang: () => undefined,
    nextLink: undefined,
    rewrite: undefined,
    resource: 'https://vault.azure.net',
    tenant: TENANT,
    fail(kind, line = /^vault /) {
      fault = kind === undefined ? undefined : { kind, line };
    },
    deny(line, inner = 'ForbiddenByRbac') {
      denied = line === undefined ? undefined : { line, inner };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(servers.map(closeServer));
    },
  };
  return server;
}

function lineOf(service: Service, { method, url }: IncomingMessage): string {
  const { pathname } = new URL(url ?? '/', 'https://double');
  return `${service} ${method} ${pathname.replace(/\/$/, '')}`;
}

/** Like the real vault, names an older host of the login authority, although clients log in at another one. */
function challenge({ tenant, resource }: AzureServer): Reply {
  const authorization = `https://login.windows.net/${tenant}`;
  return {
    ...failure(401, 'Unauthorized'),
    headers: { 'www-authenticate': `Bearer authorization="${authorization}", resource="${resource}"` },
  };
}

function relink(reply: Reply, change: (link: string) => string): Reply {
  const body: { nextLink?: string | null } = JSON.parse(reply.body);
  if (typeof body.nextLink !== 'string') return reply;
  return { ...reply, body: JSON.stringify({ ...body, nextLink: change(body.nextLink) }) };
}
