import type { AuditStore } from '../../src/audit/store.ts';
import { LIMITS } from '../../src/http/limits.ts';
import { buildServer } from '../../src/http/server.ts';
import { silentLogger } from '../../src/log/logger.ts';
import type { Service } from '../../src/service/service.ts';

interface Operation {
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description?: string;
  /** Names of what the request proves itself with, any of them. */
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

/** `docs/reference/http.md`: what the OpenAPI document says, and what it has no room for. */
export async function httpPage(): Promise<string> {
  const { paths } = await openApi();
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
    '<!-- Made from the routes of src/http by `npm run docs`. Change them, or scripts/docs/http-page.ts. -->',
    '# HTTP',
    BEFORE,
    '## Requests',
    ['| request | role or proof | what it does |', '| --- | --- | --- |', ...rows].join('\n'),
    AFTER_REQUESTS,
    '## Records of the audit',
    'The filters of `GET /api/v1/audit/records` are those of `secretbridge audit list`. They combine.',
    ['| parameter | meaning |', '| --- | --- |', ...filters].join('\n'),
    REST,
    '',
  ].join('\n\n');
}

const PROOFS: Readonly<Record<string, string>> = {
  webhook: 'a signature',
  eventGrid: 'its key',
  entra: 'a token of Entra',
};

function neededBy({ description = '', security = [] }: Pick<Operation, 'description' | 'security'>): string {
  const role = /role (\w+)/.exec(description)?.[1];
  return role ?? security.flatMap((one) => Object.keys(one).map((name) => PROOFS[name] ?? name)).join(' or ');
}

async function openApi(): Promise<OpenApi> {
  // The description needs no service behind the routes.
  await using server = await buildServer({
    service: {} as Service,
    audit: {} as AuditStore,
    metrics: { render: async () => ({ contentType: '', text: '' }) },
    auth: { identify: async () => undefined },
    config: { metricsNeedToken: false },
    version: '',
    logger: silentLogger,
  });
  return server.app.swagger() as unknown as OpenApi;
}

const seconds = (ms: number): number => ms / 1_000;
const kib = (bytes: number): number => bytes / 1_024;

const BEFORE = `The service listens on \`http.listen\`, \`127.0.0.1:8080\` unless the configuration says otherwise, with TLS if it names a
certificate. The certificate is read again when its files change. \`GET /api/openapi.json\` describes the API for machines.

## Tokens and roles

Every request but the probes needs a token in the header \`Authorization: Bearer …\`, \`/metrics\` only with
\`http.metricsNeedToken: true\`. A token counts nowhere else, not in the address and not in a cookie. What is posted under
\`/events\` needs no token: it is [signed](../how-to/webhooks.md#what-is-signed), or carries [the key or the token of its
subscription](../how-to/events-from-azure.md#the-key), and a token of a person counts for nothing there.

A role is \`viewer\`, \`reviewer\` or \`operator\`; each may do what those before it may. Static tokens are references:

\`\`\`yaml
http:
  listen: 0.0.0.0:8443
  tls: { certFile: ./tls.crt, keyFile: ./tls.key }
  tokens:
    - { name: ann, role: operator, token: { env: ANN_TOKEN } }
  kubernetes: true
\`\`\`

Each name has a token of its own. One that several names have is taken for none of them, and a line of the log names them.

With \`kubernetes: true\` the tokens of Kubernetes identities are taken as well: the API server reviews them for the audience
\`secretbridge\`, and RBAC says what role they have.

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

A \`ClusterRoleBinding\` gives it to somebody, and \`kubectl create token NAME --audience secretbridge\` makes a token of a service
account. What the API server says holds for a minute, a refusal for ten seconds. While it cannot be asked, such a token gets
503, not 401; static tokens go on working.`;

const AFTER_REQUESTS = `Lists take \`limit\` and \`cursor\`; where there is more, \`next\` is the cursor of the page after. A parameter that is not known is
refused. Every request has an id, made by the service, in the header \`x-request-id\` of its answer, in the log, and in the records
of what it caused. What somebody orders is on record with the name of the token's holder and the address it came from.

A body is a JSON object of the members that \`/api/openapi.json\` describes, in their own types: \`"8"\` is no number. A member that
is not known, or there twice, is refused before anything is done. Where nothing has to be said, no body is as good as \`{}\`.

The probes tell apart what a restart mends and what it does not. \`/livez\` is 503 when one of the service's own loops has stood
still for longer than its deadline, and names it; an outage of a store, of Redis or of the API server is none of that.
\`/readyz\` is 503 with a code while the configuration is not loaded or the audit cannot be written.

\`/api/v1/audit/verify\` reads every record, in between other work. Those who ask while it runs get the same answer.

A review is a JSON body, \`{ "state": "reviewed", "note": "…" }\` or \`"flagged"\`; the note may be left out. The answer is the
record with \`reviewed\`.

\`/api/v1/audit/export\` takes \`format\`: \`jsonl\` (the default), \`csv\` or \`ocsf\`, and the filters below, but no \`limit\` and no
\`cursor\`. It is a stream and ends at the record that was the newest when it began. What goes wrong on the way can only cut
the connection, so an answer that ends in order is whole. See [export the audit](../how-to/export-the-audit.md).`;

const REST = `## Errors

Whatever is no success has one form:

\`\`\`json
{
  "code": "FORBIDDEN",
  "message": "the holder of this token may not do that (it needs the role operator)",
  "remedy": "Give them the role that the message names: in \`http.tokens\`, or by a Role for \`use\` of \`roles.secretbridge.dev\`.",
  "requestId": "e77b39db-540d-4955-b67b-abab9f465861"
}
\`\`\`

[Errors](errors.md) has every code. No error repeats a text of the request, but for names that the service itself has.

| status | when |
| --- | --- |
| 400 | a parameter, the body or the address is wrong |
| 401 | there is no valid token, or an event carries no proof |
| 403 | its holder lacks the role that the message names |
| 404 | there is nothing of this name |
| 405 | the address takes another method, which the header \`Allow\` names |
| 408 | the request did not arrive in time |
| 409 | a person must mend something else first; \`remedy\` says what |
| 413 | the body is too large |
| 414 | a part of the address is too long |
| 415 | the body is not of the type \`application/json\` |
| 417 | a header \`Expect\` asks for what there is not |
| 429 | too much came from this address; \`Retry-After\` says how long to wait |
| 431 | the headers are too large |
| 500 | we are at fault; the log has the place under the request id |
| 503 | something that it needs is down, and it may be tried again |

## Limits

| what | limit |
| --- | --- |
| requests of one address, probes aside | ${LIMITS.requests} in ${seconds(LIMITS.windowMs)} s |
| refused tokens of one address | 30 in 60 s; then no token is looked at, except those that were accepted from there before |
| events for one webhook or subscription from one address | ${LIMITS.requests} in ${seconds(LIMITS.windowMs)} s, counted apart from its other requests |
| refused events, and events for names that are not configured, of one address | 30 in 60 s; then such are answered with 429, and right ones are still taken |
| body | ${kib(LIMITS.bodyBytes)} KiB; of a webhook ${kib(LIMITS.webhookBytes)} KiB; of Event Grid ${kib(LIMITS.eventGridBytes / 1_024)} MiB, read only once the key is right |
| headers | ${kib(LIMITS.headerBytes)} KiB, within ${seconds(LIMITS.headersMs)} s |
| a whole request | ${seconds(LIMITS.requestMs)} s to arrive |
| connections | ${LIMITS.connections}; of one address ${LIMITS.connectionsOfOne}, those beyond are cut at once |

An address is an IPv4 address or an IPv6 network of 64 bits. Behind a proxy all its clients have one: headers such as
\`X-Forwarded-For\` are not believed, since anybody can send them. Where strangers can reach the proxy, limit them there.`;
