import { LIMITS } from '../../src/http/deps.ts';
import { openApiDocument } from './openapi-document.ts';

interface Operation {
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description?: string;
  /** The names of the credentials that the request accepts. */
  readonly security?: readonly Readonly<Record<string, unknown>>[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly description?: string;
    readonly schema: { readonly enum?: readonly string[]; readonly default?: number };
  }[];
}

interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

/** Returns `docs/reference/http.md`: the OpenAPI document, and facts that OpenAPI cannot express. */
export async function httpPage(): Promise<string> {
  const { paths } = (await openApiDocument()) as unknown as OpenApi;
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      path,
      method: method.toUpperCase(),
      ...operation,
    })),
  );
  const rows = operations.map(
    ({ method, path, summary, ...operation }) =>
      `| \`${method} ${path}\` | ${neededBy(operation)} | ${summary} |`,
  );
  const records = operations.find(({ path }) => path === '/api/v1/audit/records');
  const filters = (records?.parameters ?? []).map(({ name, description = '', schema }) => {
    const choice =
      schema.enum === undefined ? '' : ` One of ${schema.enum.map((word) => `\`${word}\``).join(', ')}.`;
    return `| \`${name}\` | ${description}${choice} |`;
  });
  return [
    '<!-- Generated from the routes of src/http by `npm run docs`. Change them, or scripts/docs/http-page.ts. -->',
    '# HTTP',
    BEFORE,
    '## Requests',
    ['| Request | Role or credential | Effect |', '| --- | --- | --- |', ...rows].join('\n'),
    AFTER_REQUESTS,
    '## Audit records',
    '`GET /api/v1/audit/records` takes the filters of `secretbridge audit list`. A record must match all given filters.',
    ['| parameter | meaning |', '| --- | --- |', ...filters].join('\n'),
    REST,
    '',
  ].join('\n\n');
}

const PROOFS: Readonly<Record<string, string>> = {
  webhook: 'a signature',
  eventGrid: 'the key of the subscription',
  entra: 'a token of Microsoft Entra',
};

function neededBy({ description = '', security = [] }: Pick<Operation, 'description' | 'security'>): string {
  const role = /role (\w+)/.exec(description)?.[1];
  return role ?? security.flatMap((one) => Object.keys(one).map((name) => PROOFS[name] ?? name)).join(' or ');
}

const seconds = (ms: number): number => ms / 1_000;
const kib = (bytes: number): number => bytes / 1_024;

const BEFORE = `The service listens on \`http.listen\` (default \`127.0.0.1:8080\`), with TLS if \`http.tls\` names a certificate.
The certificate is read again when its files change. \`GET /api/openapi.json\` describes the API for programs.

## Tokens and roles

Every request except the probes and the sign-in needs a token in the header \`Authorization: Bearer …\`, or the cookie of a
[session](#sign-in). \`/metrics\` needs a token only
with \`http.metricsNeedToken: true\`. With \`http.metrics.listen\`, only this second address has \`/metrics\`, beside
the probes. Tokens in addresses are ignored. Requests under \`/events\` need no
such token: they are [signed](../how-to/webhooks.md#what-is-signed), or carry [the key or the token of their
subscription](../how-to/events-from-azure.md#the-key). The token of a person has no effect under \`/events\`.

A role is \`viewer\`, \`reviewer\` or \`operator\`. A \`reviewer\` has all rights of a \`viewer\`, and an \`operator\`
has all rights of a \`reviewer\`. Each static token in \`http.tokens\` is a reference to a credential:

\`\`\`yaml
http:
  listen: 0.0.0.0:8443
  tls: { certFile: ./tls.crt, keyFile: ./tls.key }
  tokens:
    - { name: ann, role: operator, token: { env: ANN_TOKEN } }
    - { name: team-a, role: viewer, namespaces: [a, 'a-*'], token: { env: TEAM_A_TOKEN } }
  kubernetes: true
\`\`\`

Without \`tls\`, tokens are accepted only on loopback, or with \`allowHttp: true\` if a proxy in front of the service
serves https. A token with \`namespaces\` sees and changes [nothing in other
namespaces](../how-to/tenants.md#limit-people-to-namespaces).

Each name needs a token of its own. If several names have the same token, this token is refused, and the log lists these
names.

With \`kubernetes: true\`, tokens of Kubernetes identities are accepted too. The API server reviews these tokens for the
audience \`secretbridge\`, and RBAC gives the identity its role:

\`\`\`yaml
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: secretbridge-operator }
rules:
  - apiGroups: [secretbridge.dev]
    resources: [roles]
    resourceNames: [operator]
    verbs: [use]
\`\`\`

Bind this ClusterRole to an identity with a \`ClusterRoleBinding\`, or with a \`RoleBinding\` in each namespace that the
identity may see. For an identity without the role in all namespaces, the service asks the API server about each namespace
that has or had a target. \`kubectl create token NAME --audience secretbridge\` creates a token of a service account. The
service remembers each answer of the API server for ten seconds, and the lack of a role in one namespace for a minute. So
a revoked role ends within 15 seconds. While the API server does not answer, a
request with a Kubernetes token gets 503, not 401. Static tokens continue to work.

## Sign-in

With \`http.oidc\`, [people sign in](../how-to/sign-in.md) at an OpenID Connect provider. Three kinds of proof are accepted
then, with the roles of \`http.oidc.roles\`:

- The cookie \`__Host-secretbridge-session\` of a browser. It is \`Secure\`, \`HttpOnly\` and \`SameSite=Strict\`. With this
  cookie, a request must come from the review page, or it gets 403. Its header \`Sec-Fetch-Site\` must be \`same-origin\`. If
  the browser sends no such header, a request that changes something needs the address of the service in \`Origin\`. A header
  \`Authorization\` takes precedence over the cookie.
- The token of \`secretbridge login\`, which begins with \`sbs_\`.
- An ID token or access token of the provider, as a JWT. Signature, issuer, audience (\`clientId\`), expiry and type are
  checked, with a tolerance of 60 seconds for clocks.

A session is renewed by each request without the header \`x-secretbridge-idle\`, which the page sends with automatic requests.
\`POST /auth/device\` and \`POST /auth/token\` are what \`secretbridge login\` uses: the service talks to the provider, so
the command line needs no secret of the client.`;

const AFTER_REQUESTS = `- Lists take \`limit\` and \`cursor\`. \`next\` in the answer is the cursor of the next page, if
there is a next page. Unknown parameters are refused.
- The service gives every request an id. This id is in the header \`x-request-id\` of the answer, in the log, and in the
  records that the request caused. If a request causes a change, the record has the name of the token's holder and the
  address of the client.
- A body is a JSON object with the members and types that \`/api/openapi.json\` lists. The text \`"8"\` is not accepted
  as a number. Unknown and duplicate members are refused. If no member is needed, the body may be empty.
- \`/livez\` is 503 if one of the service's own loops makes no progress before its deadline. The answer names this loop.
  Outages of a store, of Redis or of the API server do not affect it. \`/readyz\` is 503 with a code while the
  configuration is not loaded or the audit cannot be written.
- \`/api/v1/audit/verify\` reads every record, with pauses for other work. Parallel requests share one verification.
  It needs a token without \`namespaces\`.
- The body of a review is \`{ "state": "reviewed", "note": "…" }\` or \`{ "state": "flagged", "note": "…" }\`. The note
  is optional. The answer is the reviewed record with the additional member \`reviewed\`.
- \`/api/v1/audit/export\` takes \`format\` (\`jsonl\`, the default, \`csv\` or \`ocsf\`) and the filters in [Audit
  records](#audit-records), but no \`limit\` and \`cursor\`. The answer is a stream. The last record in the stream is
  the record that was the newest when the stream began. After an error the service cuts the connection, so an answer
  that ends normally is complete. See [export the audit](../how-to/review-the-audit.md#export).`;

const REST = `## Errors

Every failure has the same form:

\`\`\`json
{
  "code": "FORBIDDEN",
  "message": "this token has no permission for the request (it needs the role operator)",
  "remedy": "The message names the missing role. Grant it in \`http.tokens\`, or with a Kubernetes Role that allows \`use\` on \`roles.secretbridge.dev\`.",
  "requestId": "e77b39db-540d-4955-b67b-abab9f465861"
}
\`\`\`

[Errors](errors.md) has every code. An error repeats no text of the request, except names that are in the configuration.

| status | when |
| --- | --- |
| 400 | a parameter, the body or the address is wrong |
| 401 | there is no valid token or session, or an event has no valid signature, key or token |
| 403 | the holder lacks the role in the message |
| 404 | no object has this name |
| 405 | the address needs another method, see the header \`Allow\` |
| 408 | the request did not arrive in time |
| 409 | a person must fix a problem before the request can succeed, see \`remedy\` |
| 413 | the body is too large |
| 414 | a part of the address is too long |
| 415 | the body is not of the type \`application/json\` |
| 417 | the header \`Expect\` cannot be satisfied |
| 429 | too many requests from this address, see \`Retry-After\` |
| 431 | the headers are too large |
| 500 | an internal error. The log has details under the request id |
| 503 | a part that the request needs is down. Try again |

## Limits

| what | limit |
| --- | --- |
| requests of one address, without probes | ${LIMITS.requests} in ${seconds(LIMITS.windowMs)} s |
| refused tokens of one address | 30 in 60 s. After that, the address may only use tokens that were accepted from it before |
| events for one webhook or subscription from one address | ${LIMITS.requests} in ${seconds(LIMITS.windowMs)} s, counted separately from other requests |
| refused events, and events for names that are not configured, of one address | 30 in 60 s. After that, such events get 429. Valid events are still accepted |
| audit records of refused commands, of one person | 20 in 60 s. The next record says how many commands got no record |
| body | ${kib(LIMITS.bodyBytes)} KiB; of a webhook ${kib(LIMITS.webhookBytes)} KiB; of Event Grid ${kib(LIMITS.eventGridBytes / 1_024)} MiB, read only after the key is verified |
| headers | ${kib(LIMITS.headerBytes)} KiB, within ${seconds(LIMITS.headersMs)} s |
| a whole request | ${seconds(LIMITS.requestMs)} s to arrive |
| connections | ${LIMITS.connections}; ${LIMITS.connectionsPerAddress} of one address. A further connection replaces the oldest idle one, so idle clients cannot lock out probes |

An address is an IPv4 address or an IPv6 network of 64 bits. All clients behind a proxy share the address of the proxy,
unless \`http.trustProxy\` names the proxy. Other proxies could send any \`X-Forwarded-For\`, so it is ignored. If unknown
clients can reach the proxy, limit their requests at the proxy.`;
