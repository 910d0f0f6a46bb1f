import { createHmac } from 'node:crypto';
import { describe, expect } from 'vitest';
import { SecretValue } from '../../src/core/secret-value.ts';
import { createEventGridIntake } from '../../src/events/event-grid.ts';
import type { TakeHints } from '../../src/events/hint.ts';
import type { PostedIntakes } from '../../src/events/posted.ts';
import { startVault } from '../../src/events/vault.ts';
import { createWebhookIntake } from '../../src/events/webhook.ts';
import { LIMITS } from '../../src/http/limits.ts';
import { buildServer } from '../../src/http/server.ts';
import { silentLogger } from '../../src/log/logger.ts';
import { VaultConfig } from '../../src/providers/vault/config.ts';
import { vault } from '../../src/providers/vault/index.ts';
import type { Service } from '../../src/service/service.ts';
import { testDeps } from '../conformance/provider-deps.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { startVaultEvents } from '../fakes/vault-events.ts';
import { startVaultServer } from '../fakes/vault-server.ts';
import { soon } from '../soon.ts';
import { describeChaos, type OpenChannel, STORE } from './chaos.ts';

// The same suite as for hints by themselves and for SQS, by each of the other ways from end to end.

const KEY = 'a key of the test';
const VAULT = 'https://contoso.vault.azure.net';
const credential = async () => SecretValue.fromText(KEY);
const clock = { now: () => Date.now() };

/** Events that are posted to the service, by a sender that sends again what was lost on the way. */
function posting(
  create: (take: TakeHints) => PostedIntakes,
  requestOf: (
    key: string,
    sent: number,
  ) => { readonly url: string; readonly headers: object; readonly body: string },
): OpenChannel {
  return async (take) => {
    const server = await buildServer(
      {
        service: {} as Service,
        audit: createMemoryAudit(),
        metrics: { render: async () => ({ contentType: '', text: '' }) },
        auth: { identify: async () => undefined },
        config: { metricsNeedToken: false },
        version: '1',
        logger: silentLogger,
        events: create(take),
      },
      { ...LIMITS, requests: 1_000_000 },
    );
    const under: Promise<unknown>[] = [];
    const codes = new Map<number, number>();
    let sent = 0;
    const send = async (request: ReturnType<typeof requestOf>): Promise<void> => {
      const { statusCode } = await server.app.inject({
        method: 'POST',
        url: request.url,
        headers: { 'content-type': 'application/json', ...request.headers },
        payload: request.body,
      });
      codes.set(statusCode, (codes.get(statusCode) ?? 0) + 1);
    };
    return {
      deliver(key) {
        sent += 1;
        const request = requestOf(key, sent);
        under.push(send(request));
        // Now and then the very same again, as after an answer that was lost; and one by somebody else.
        if (sent % 7 === 0) under.push(send(request));
        if (sent % 11 === 0) under.push(send({ ...request, headers: {} }));
      },
      async drained() {
        await Promise.all(under);
        expect(codes.get(202)).toBeGreaterThan(500);
        expect([...codes.keys()].filter((code) => code >= 500)).toEqual([]);
      },
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  };
}

const webhook = posting(
  (take) => {
    const config = { name: 'ci', stores: [STORE], secret: { env: 'K' } };
    const intake = createWebhookIntake({ config, credential, clock, take });
    return { webhook: () => intake, eventGrid: () => undefined };
  },
  (key, sent) => {
    // White space makes each of one second another one, as a sender with much to say would.
    const body = `{ "store": "${STORE}", "key": "${key}" }${' '.repeat(sent % 1_000)}`;
    const time = Math.floor(Date.now() / 1_000);
    const digest = createHmac('sha256', KEY).update(`${time}.${body}`).digest('hex');
    return {
      url: '/events/webhook/ci',
      headers: { 'x-secretbridge-signature': `t=${time},v1=${digest}` },
      body,
    };
  },
);

const eventGrid = posting(
  (take) => {
    const config = { name: 'grid', store: STORE, key: { env: 'K' } };
    const intake = createEventGridIntake({ config, vaultUrl: VAULT, credential, clock, take: renamed(take) });
    return { webhook: () => undefined, eventGrid: () => intake };
  },
  (key, sent) => {
    const data = { VaultName: 'contoso', ObjectName: key.replace('/', '-'), Version: `${sent}` };
    const type = 'Microsoft.KeyVault.SecretNewVersionCreated';
    const event =
      sent % 2 === 0
        ? { specversion: '1.0', id: `${sent}`, type, data }
        : { id: `${sent}`, eventType: type, data, dataVersion: '1' };
    const other = { specversion: '1.0', type: 'Microsoft.Storage.BlobCreated', data: {} };
    const body = JSON.stringify(sent % 3 === 0 ? [other, event] : event);
    return { url: '/events/azure/grid', headers: { 'aeg-sas-key': KEY }, body };
  },
);

/** Names in Key Vault have no slash, those of the suite do. */
function renamed(take: TakeHints): TakeHints {
  return (hints, ...rest) =>
    take(
      hints.map((hint) => ({ ...hint, keys: hint.keys.map((key) => key.replace('found-', 'found/')) })),
      ...rest,
    );
}

const stream: OpenChannel = async (take) => {
  const server = await startVaultServer();
  const events = await startVaultEvents(server);
  const config = VaultConfig.parse({
    kind: 'vault',
    address: events.address,
    auth: { method: 'token', token: { env: 'TOKEN' } },
  });
  const provider = await vault.create(config, testDeps({ env: { TOKEN: server.rootToken } }));
  let sent = 0;
  let took = 0;
  let expected = 0;
  const intake = startVault(
    {
      name: 'v',
      store: STORE,
      open: async () => provider,
      random: Math.random,
      pause: async () => undefined,
    },
    {
      take(hints, origin) {
        took += hints.length;
        return take(hints, origin);
      },
      onOther: () => undefined,
      onProgress: () => undefined,
    },
  );
  await soon(() => expect(events.streams).toBe(1));
  return {
    deliver(key) {
      sent += 1;
      // What is told while no stream stands is lost, as it would be.
      if (events.streams === 1) expected += 1;
      events.send('kv-v2/data-write', `secret/data/${key}`);
      if (sent % 20 === 0) events.sendText('{"no":"event"}');
      if (sent % 100 === 0) events.end(1001);
    },
    drained: () =>
      soon(() => {
        expect(took).toBeGreaterThan(expected / 2);
        expect(events.streams).toBe(1);
      }),
    async [Symbol.asyncDispose]() {
      for (const it of [intake, provider, events, server]) await it[Symbol.asyncDispose]();
    },
  };
};

describe('events in chaos', () => {
  describeChaos('signed webhooks', webhook, [5]);
  describeChaos('Event Grid', eventGrid, [6]);
  describeChaos('a stream of Vault that is cut', stream, [7]);
});
