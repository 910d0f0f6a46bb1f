import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { AwsError, OPERATIONS } from './aws-operations.ts';
import { PARAMETER_OPERATIONS, ParameterStore } from './aws-parameters.ts';
import { AwsStore, randomText } from './aws-store.ts';
import { bodyOf } from './body.ts';
import { closeServer, listen } from './loopback.ts';

export { AwsError } from './aws-operations.ts';

export interface AwsServerOptions {
  readonly region?: string;
  readonly account?: string;
  /** If set, the server uses HTTPS with this certificate. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/**
 * Credentials that the fake accepts. `endsAt` is in milliseconds since 1970. Credentials without `endsAt` never expire.
 */
export interface Grant {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly endsAt?: number;
  /** The role to which the credentials belong. */
  readonly role?: string;
}

/**
 * A fault: the fake sends this AWS error or this answer instead of its normal answer, or fails in one of these ways.
 */
export type AwsFault =
  | AwsError
  | { readonly answer: object }
  | 'hang'
  | 'reset'
  | 'cut'
  | 'html'
  | 'html 403'
  | 'wrong type'
  | 'wrong form';

/**
 * A fake of AWS Secrets Manager, Parameter Store and STS over HTTP, with the operations that secretbridge uses. It also
 * serves the credentials of containers and instances. A request needs a signature with a valid access key. The fake does not
 * verify the signature itself.
 */
export interface AwsServer extends AsyncDisposable {
  readonly address: string;
  readonly store: AwsStore;
  readonly parameters: ParameterStore;
  /** Credentials that are valid from the start and never expire. */
  readonly root: Grant;
  /** The operations of the received requests in order, for example `GetSecretValue` or `AssumeRole`. */
  readonly requests: { readonly operation: string; readonly input: Readonly<Record<string, unknown>> }[];
  /** Returns how many requests of an operation the fake has received. */
  count(operation: string): number;
  /**
   * Sets or removes a fault of the operations that match. `BatchGetSecretValue item` is not an operation, but stands
   * for each single secret of a batch.
   */
  fail(fault: AwsFault | undefined, operations?: RegExp): void;
  /**
   * Sets or removes the error for one secret or parameter. Like in AWS, an error of one parameter is the answer to the
   * whole request.
   */
  failKey(name: string, error: AwsError | undefined, operations?: RegExp): void;
  /** The lifetime of the credentials that a login returns. */
  sessionMs: number;
  /** Ends the validity of all credentials that logins have returned. */
  expireAll(): void;
  addGrant(grant: Grant): void;
  /** Returns the secret keys and session tokens of all credentials. */
  secrets(): readonly string[];
  /** The web identity tokens that may assume a role. If undefined, any token may assume a role. */
  webTokens: readonly string[] | undefined;
  /** The difference between the `Date` header and the real time, in milliseconds. */
  skewMs: number;
  batchPage: number;
  /** Called when the fake leaves a request unanswered. */
  onHang: () => void;
  readonly containerToken: string;
}

interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

export async function startAwsServer(options: AwsServerOptions = {}): Promise<AwsServer> {
  const { region = 'eu-west-1', account = '123456789012', tls } = options;
  const store = new AwsStore(region, account);
  const parameters = new ParameterStore(region, account);
  const root: Grant = { accessKeyId: `AKIA${randomText(16)}`, secretAccessKey: randomText(40) };
  const grants = new Map<string, Grant>([[root.accessKeyId, root]]);
  const faults: { fault: AwsFault; operations: RegExp }[] = [];
  const keyFaults = new Map<string, { error: AwsError; operations: RegExp }>();

  const checkKey = (operation: string, { name }: { readonly name: string }) => {
    const fault = keyFaults.get(name);
    if (fault?.operations.test(operation)) throw fault.error;
  };
  const logIn = (role: string): Grant => {
    const grant = {
      accessKeyId: `ASIA${randomText(16)}`,
      secretAccessKey: randomText(40),
      sessionToken: randomText(60),
      endsAt: Date.now() + aws.sessionMs,
      role,
    };
    grants.set(grant.accessKeyId, grant);
    return grant;
  };
  const authenticate = (incoming: IncomingMessage): void => {
    const header = incoming.headers.authorization ?? '';
    const key = /^AWS4-HMAC-SHA256 Credential=([^/]+)\//.exec(header)?.[1];
    if (
      key === undefined ||
      !/Signature=[0-9a-f]{64}$/.test(header) ||
      incoming.headers['x-amz-date'] === undefined
    )
      throw new AwsError('MissingAuthenticationTokenException');
    const grant = grants.get(key);
    if (grant === undefined || incoming.headers['x-amz-security-token'] !== grant.sessionToken)
      throw new AwsError('UnrecognizedClientException');
    if ((grant.endsAt ?? Number.POSITIVE_INFINITY) < Date.now()) throw new AwsError('ExpiredTokenException');
  };
  const jsonService = (
    operation: string,
    incoming: IncomingMessage,
    input: Record<string, unknown>,
  ): Reply => {
    try {
      throwFault(operation);
      authenticate(incoming);
      return json(200, answerTo(operation, input));
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      return json(error.status, { __type: error.type, Message: error.message });
    }
  };
  const answerTo = (operation: string, input: Record<string, unknown>): object => {
    const context = { store, checkKey, batchPage: aws.batchPage };
    const isParameters = Object.hasOwn(PARAMETER_OPERATIONS, operation);
    const answer = isParameters
      ? PARAMETER_OPERATIONS[operation]?.({ parameters, checkKey }, input)
      : OPERATIONS[operation]?.(context, input);
    if (answer === undefined) throw new AwsError('UnknownOperationException');
    return answer;
  };
  const sts = (operation: string, incoming: IncomingMessage, input: Record<string, unknown>): Reply => {
    try {
      throwFault(operation);
      if (operation === 'AssumeRole') authenticate(incoming);
      else if (operation !== 'AssumeRoleWithWebIdentity') throw new AwsError('InvalidAction');
      else if (aws.webTokens?.includes(String(input.WebIdentityToken)) === false)
        throw new AwsError('InvalidIdentityToken');
      return xml(200, loginResponse(operation, logIn(String(input.RoleArn))));
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      const type = error.type.replace(/Exception$/, '').replace('UnrecognizedClient', 'InvalidClientTokenId');
      return xml(
        error.status,
        `<ErrorResponse><Error><Type>Sender</Type><Code>${type}</Code><Message>${error.message}</Message></Error></ErrorResponse>`,
      );
    }
  };
  const container = (incoming: IncomingMessage): Reply =>
    incoming.headers.authorization === aws.containerToken
      ? machineCredentials('container')
      : json(401, { message: 'no' });
  /** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html */
  const instance = ({ method, url, headers }: IncomingMessage): Reply => {
    if (method === 'PUT') return { status: 200, type: 'text/plain', body: 'imds-token' };
    if (headers['x-aws-ec2-metadata-token'] !== 'imds-token') return json(401, {});
    return url?.endsWith('/instance-role')
      ? machineCredentials('instance')
      : { status: 200, type: 'text/plain', body: 'instance-role' };
  };
  const machineCredentials = (role: string): Reply => {
    const { accessKeyId, secretAccessKey, sessionToken, endsAt } = logIn(role);
    return json(200, {
      AccessKeyId: accessKeyId,
      SecretAccessKey: secretAccessKey,
      Token: sessionToken,
      Expiration: new Date(endsAt ?? 0).toISOString(),
    });
  };

  const faultOf = (operation: string) => faults.find(({ operations }) => operations.test(operation))?.fault;
  const throwFault = (operation: string) => {
    const fault = faultOf(operation);
    if (fault instanceof AwsError) throw fault;
  };
  const listener = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const body = (await bodyOf(incoming))?.toString();
    if (body === undefined) return;
    const { operation, input } = parse(incoming, body);
    aws.requests.push({ operation, input });
    outgoing.sendDate = false;
    outgoing.setHeader('date', new Date(Date.now() + aws.skewMs).toUTCString());
    const fault = faultOf(operation);
    if (fault === 'hang') return aws.onHang();
    if (fault === 'reset') return incoming.socket.resetAndDestroy();
    if (typeof fault === 'object' && 'answer' in fault) return send(outgoing, json(200, fault.answer), false);
    const reply =
      operation === 'container'
        ? container(incoming)
        : operation === 'instance'
          ? instance(incoming)
          : incoming.headers['x-amz-target'] !== undefined
            ? jsonService(operation, incoming, input)
            : sts(operation, incoming, input);
    if (fault === 'wrong form') return send(outgoing, misshapen(reply), false);
    if (fault === 'wrong type') return send(outgoing, { ...reply, type: 'text/plain' }, false);
    send(outgoing, fault === 'html' || fault === 'html 403' ? html(fault) : reply, fault === 'cut');
  };
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  const port = await listen(server);

  const aws: AwsServer = {
    address: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    store,
    parameters,
    root,
    requests: [],
    count: (operation) => aws.requests.filter((request) => request.operation === operation).length,
    fail(fault, operations = /./) {
      faults.length = 0;
      if (fault !== undefined) faults.push({ fault, operations });
    },
    failKey(name, error, operations = /./) {
      if (error === undefined) keyFaults.delete(name);
      else keyFaults.set(name, { error, operations });
    },
    sessionMs: 3_600_000,
    expireAll() {
      for (const [key, grant] of grants)
        if (grant.endsAt !== undefined) grants.set(key, { ...grant, endsAt: 0 });
    },
    addGrant: (grant) => void grants.set(grant.accessKeyId, grant),
    secrets: () =>
      [...grants.values()].flatMap(({ secretAccessKey, sessionToken }) =>
        sessionToken === undefined ? [secretAccessKey] : [secretAccessKey, sessionToken],
      ),
    webTokens: undefined,
    skewMs: 0,
    batchPage: 20,
    onHang: () => undefined,
    containerToken: randomText(20),
    [Symbol.asyncDispose]: () => closeServer(server),
  };
  return aws;
}

function parse({ method, url, headers }: IncomingMessage, body: string) {
  if (url?.startsWith('/latest/')) return { operation: 'instance', input: {} };
  if (method === 'GET') return { operation: 'container', input: {} };
  const target = headers['x-amz-target'];
  if (typeof target === 'string') {
    const input = JSON.parse(body) as Record<string, unknown>;
    return { operation: target.replace(/^(secretsmanager|AmazonSSM)\./, ''), input };
  }
  const input: Record<string, unknown> = Object.fromEntries(new URLSearchParams(body));
  return { operation: String(input.Action), input };
}

function loginResponse(
  operation: string,
  { accessKeyId, secretAccessKey, sessionToken, endsAt, role }: Grant,
): string {
  const credentials =
    `<AccessKeyId>${accessKeyId}</AccessKeyId><SecretAccessKey>${secretAccessKey}</SecretAccessKey>` +
    `<SessionToken>${sessionToken}</SessionToken><Expiration>${new Date(endsAt ?? 0).toISOString()}</Expiration>`;
  const user = `<AssumedRoleUser><Arn>${role}</Arn><AssumedRoleId>id</AssumedRoleId></AssumedRoleUser>`;
  const result = `<${operation}Result><Credentials>${credentials}</Credentials>${user}</${operation}Result>`;
  return `<${operation}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/">${result}</${operation}Response>`;
}

function json(status: number, body: object): Reply {
  return { status, type: 'application/x-amz-json-1.1', body: JSON.stringify(body) };
}

function xml(status: number, body: string): Reply {
  return { status, type: 'text/xml', body };
}

function html(fault: 'html' | 'html 403'): Reply {
  return {
    status: fault === 'html' ? 200 : 403,
    type: 'text/html',
    body: '<!doctype html><p>Please sign in',
  };
}

/** Returns an answer that is valid JSON or XML, but in which the expected fields have another type or name. */
function misshapen({ body, ...reply }: Reply): Reply {
  if (!reply.type.includes('json')) return { ...reply, body: body.replaceAll('Credentials>', 'Keys>') };
  const lists = { SecretList: 'no list', SecretValues: 'no list', Errors: 'no list', Parameters: 'no list' };
  return {
    ...reply,
    body: JSON.stringify({ ...JSON.parse(body), CreatedDate: { of: 'another form' }, ...lists }),
  };
}

/** @param isCut Whether to send only the first half of the body, as if it were complete. */
function send(outgoing: ServerResponse, { status, type, body }: Reply, isCut: boolean): void {
  outgoing.writeHead(status, { 'content-type': type });
  outgoing.end(isCut ? body.slice(0, body.length / 2) : body);
}
