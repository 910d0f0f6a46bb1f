import { createHmac } from 'node:crypto';
import { startSqsServer } from '../../test/fakes/sqs-server.ts';
import { startVaultEvents } from '../../test/fakes/vault-events.ts';
import { startVaultServer } from '../../test/fakes/vault-server.ts';
import { createRequest, type Request } from '../../test/integration/services/http.ts';
import { OPENBAO_VERSION, startOpenBao } from '../../test/integration/services/openbao.ts';
import { AZURE } from '../fake-stores/azure.ts';
import { azureToken } from '../floor/azure-token.ts';
import { BenchError } from '../harness/error.ts';
import type { BenchOptions } from '../harness/row.ts';
import type { Lab } from './lab.ts';

/** A store whose values change, and its event channel. */
export interface RotatedStore {
  readonly name: string;
  readonly label: string;
  /** The name of the event channel. */
  readonly channel: string;
  /** The store's entry in the configuration. */
  readonly config: object;
  readonly events: object;
  readonly env: Readonly<Record<string, string>>;
  /** The certificate of the CA that signed the store's TLS certificate. */
  readonly ca?: string;
  /** The `property` of the sources in this store. */
  readonly property?: string;
  put(values: Readonly<Record<string, string>>): Promise<void>;
  /** Sends the event for a changed key. */
  sendEvent(key: string): Promise<void> | void;
  /** Reads a key with one request on a kept-alive connection, without the measured program. */
  read(key: string): Promise<void>;
  /** Whether the service receives the events of this store. */
  isConnected(): boolean;
}

/** The latency of the fake AWS and Azure stores. */
export const LATENCY_MS = 10;
const MOUNT = 'secret';
const KEY = 'of-the-benchmark';

/** Sends a POST request to the measured service. */
export type Post = (
  path: string,
  body: object,
  headersOf: (text: string) => Record<string, string>,
) => Promise<void>;

export function createPost(port: number): Post {
  const request = createRequest({ address: `http://127.0.0.1:${port}` });
  return async (path, body, headersOf) => {
    const text = JSON.stringify(body);
    const answer = await request('POST', path, text, {
      'content-type': 'application/json',
      ...headersOf(text),
    });
    if (answer.status !== 202) throw new BenchError(`an event was answered with ${answer.status}`);
  };
}

/**
 * Opens four stores with different event channels: AWS with SQS, Azure with Event Grid, Vault with its event stream,
 * and OpenBao with a signed webhook.
 */
export async function openFourStores(
  lab: Lab,
  post: Post,
  { onServer }: Pick<BenchOptions, 'onServer'>,
): Promise<AsyncDisposable & { readonly all: readonly RotatedStore[] }> {
  await using stack = new AsyncDisposableStack();
  const queue = stack.use(await startSqsServer());
  const vault = stack.use(await startVaultServer());
  const stream = stack.use(await startVaultEvents(vault));
  const bao = stack.use(await startOpenBao({ borrow: false }));
  onServer('openbao', OPENBAO_VERSION);
  const aws = await lab.fakeStore('aws');
  const azure = await lab.fakeStore('azure');
  for (const fakeStore of [aws, azure]) await fakeStore.delay(LATENCY_MS);
  const toAws = createRequest({ address: aws.address, ca: aws.ca });
  const toAzure = createRequest({
    address: azure.address,
    ca: azure.ca,
    headers: { authorization: `Bearer ${await azureToken(azure)}` },
  });
  const toVault = createRequest({
    address: stream.address,
    headers: { 'x-vault-token': vault.rootToken },
  });
  const toBao = createRequest({ address: bao.address, headers: { 'x-vault-token': bao.rootToken } });
  const url = new URL(azure.address);
  const ofVault = { mount: MOUNT, kvVersion: 2, limits: { requestsPerSecond: 500, concurrency: 8 } };

  const all: readonly RotatedStore[] = [
    {
      name: 'vault',
      label: 'Vault',
      channel: 'event stream',
      config: {
        kind: 'vault',
        address: stream.address,
        ...ofVault,
        auth: { method: 'token', token: { env: 'BENCH_VAULT_TOKEN' } },
      },
      events: { vault: [{ name: 'stream', store: 'vault' }] },
      env: { BENCH_VAULT_TOKEN: vault.rootToken },
      property: 'value',
      async put(values) {
        for (const [key, value] of Object.entries(values)) vault.put(MOUNT, key, JSON.stringify({ value }));
      },
      sendEvent: (key) => stream.send('kv-v2/data-write', `${MOUNT}/data/${key}`),
      read: (key) => readOk(toVault, `/v1/${MOUNT}/data/${key}`),
      isConnected: () => stream.streams > 0,
    },
    {
      name: 'aws',
      label: 'AWS',
      channel: 'SQS',
      config: {
        kind: 'aws-secrets-manager',
        region: 'eu-west-1',
        endpoint: aws.address,
        auth: {
          method: 'static',
          accessKeyId: { env: 'BENCH_KEY_ID' },
          secretAccessKey: { env: 'BENCH_SECRET_KEY' },
        },
      },
      events: { sqs: [{ name: 'queue', queueUrl: queue.queueUrl, store: 'aws' }] },
      env: aws.env,
      ca: aws.ca,
      put: (values) => aws.put(values),
      sendEvent: (key) => queue.send(JSON.stringify(awsEvent(key))),
      async read(key) {
        const headers = { 'x-amz-target': 'secretsmanager.GetSecretValue' };
        assertOk(await toAws('POST', '/', JSON.stringify({ SecretId: key }), headers));
      },
      isConnected: () => queue.polls > 0,
    },
    {
      name: 'azure',
      label: 'Azure',
      channel: 'Event Grid',
      config: {
        kind: 'azure-key-vault',
        vaultUrl: azure.address,
        auth: {
          method: 'clientSecret',
          tenantId: AZURE.tenant,
          clientId: AZURE.client,
          clientSecret: { env: 'BENCH_CLIENT_SECRET' },
        },
      },
      events: { eventGrid: [{ name: 'grid', store: 'azure', key: { env: 'BENCH_EVENT_KEY' } }] },
      env: { ...azure.env, BENCH_EVENT_KEY: KEY },
      ca: azure.ca,
      put: (values) => azure.put(values),
      sendEvent: (key) =>
        post('/events/azure/grid', [azureEvent(url.host, key)], () => ({ 'x-secretbridge-key': KEY })),
      read: (key) => readOk(toAzure, `/secrets/${key}?api-version=7.4`),
      isConnected: () => true,
    },
    {
      name: 'openbao',
      label: 'OpenBao',
      channel: 'signed webhook',
      config: {
        kind: 'vault',
        address: bao.address,
        ...ofVault,
        auth: { method: 'token', token: { env: 'BENCH_BAO_TOKEN' } },
      },
      events: { webhooks: [{ name: 'hook', stores: ['openbao'], secret: { env: 'BENCH_EVENT_KEY' } }] },
      env: { BENCH_BAO_TOKEN: bao.rootToken, BENCH_EVENT_KEY: KEY },
      property: 'value',
      async put(values) {
        for (const [key, value] of Object.entries(values))
          assertOk(await toBao('POST', `/v1/${MOUNT}/data/${key}`, { data: { value } }));
      },
      sendEvent: (key) => post('/events/webhook/hook', { store: 'openbao', key }, signed),
      read: (key) => readOk(toBao, `/v1/${MOUNT}/data/${key}`),
      isConnected: () => true,
    },
  ];
  const owned = stack.move();
  return { all, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function readOk(request: Request, path: string): Promise<void> {
  assertOk(await request('GET', path));
}

function assertOk({ status }: { readonly status: number }): void {
  if (status !== 200) throw new BenchError(`a store answered with ${status}`);
}

function signed(text: string): Record<string, string> {
  const time = Math.floor(Date.now() / 1_000);
  const digest = createHmac('sha256', KEY).update(`${time}.${text}`).digest('hex');
  return { 'x-secretbridge-signature': `t=${time},v1=${digest}` };
}

/** https://docs.aws.amazon.com/secretsmanager/latest/userguide/cloudtrail_log_entries.html */
function awsEvent(key: string): object {
  return {
    version: '0',
    'detail-type': 'AWS API Call via CloudTrail',
    source: 'aws.secretsmanager',
    region: 'eu-west-1',
    resources: [],
    detail: { eventName: 'PutSecretValue', requestParameters: { secretId: key } },
  };
}

/** The event format: https://learn.microsoft.com/en-us/azure/event-grid/event-schema-key-vault */
function azureEvent(host: string, key: string): object {
  return {
    id: '00eccf70-95a7-4e7c-8299-2eb17ee9ad64',
    topic: '/subscriptions/1/resourceGroups/bench/providers/Microsoft.KeyVault/vaults/bench',
    subject: key,
    eventType: 'Microsoft.KeyVault.SecretNewVersionCreated',
    eventTime: '2026-01-01T00:00:00Z',
    data: { Id: `https://${host}/secrets/${key}`, VaultName: 'bench', ObjectType: 'Secret', ObjectName: key },
    dataVersion: '1',
  };
}
