import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { bodyOf } from '../body.ts';
import { type Authority, createAuthority, type IssueOptions } from '../certificates.ts';
import { closeServer, listen } from '../loopback.ts';
import { deliver, type Fault } from './faults.ts';
import { createLogin, type Login, TENANT } from './login.ts';
import { createObjects, type Objects } from './objects.ts';
import { answerVault, type Cer, failure, type Jwk, type Reply } from './vault.ts';

/** Which of the three services a fault concerns. */
export type Service = 'vault' | 'authority' | 'identity';

/**
 * Azure Key Vault with the authority that it trusts, over HTTPS with a certificate of its own issuer, and an endpoint
 * of managed identities over HTTP. Says what the service says, with the few things that we ask.
 */
export interface AzureServer extends AsyncDisposable {
  /** Of the vault. */
  readonly address: string;
  /** For AZURE_AUTHORITY_HOST. */
  readonly authorityHost: string;
  /** For IDENTITY_ENDPOINT. */
  readonly identityEndpoint: string;
  /** PEM of the issuer of the certificates. */
  readonly ca: string;
  readonly secrets: Objects<string>;
  readonly keys: Objects<Jwk>;
  readonly certificates: Objects<Cer>;
  readonly login: Login;
  /** `vault GET /secrets/a`, without the query, in their order. */
  readonly requests: string[];
  /** How many were made to the vault and the authority. */
  readonly connections: number;
  /** From now on, for the requests whose line matches; undefined: none. */
  fail(fault: Fault | undefined, line?: RegExp): void;
  /** Refuses the requests whose line matches, with this inner code. */
  deny(line: RegExp | undefined, inner?: string): void;
  /** Called when a request will not be answered, so that a test need not wait for its time limit. */
  onHang: () => void;
  /** Replaces the next page's address in lists. */
  nextLink: ((link: string) => string) | undefined;
  /** Puts another body into the successes of the vault. */
  rewrite: ((body: string) => string) | undefined;
  /** The challenge's resource. */
  resource: string;
  /** The challenge's tenant. */
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
  const contents = {
    secrets: createObjects<string>(now),
    keys: createObjects<Jwk>(now),
    certificates: createObjects<Cer>(now),
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
    const reply = answerVault(contents, server.address, url);
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

function challenge({ authorityHost, tenant, resource }: AzureServer): Reply {
  return {
    ...failure(401, 'Unauthorized'),
    headers: {
      'www-authenticate': `Bearer authorization="${authorityHost}/${tenant}", resource="${resource}"`,
    },
  };
}

function relink(reply: Reply, change: (link: string) => string): Reply {
  const body: { nextLink?: string | null } = JSON.parse(reply.body);
  if (typeof body.nextLink !== 'string') return reply;
  return { ...reply, body: JSON.stringify({ ...body, nextLink: change(body.nextLink) }) };
}
