import { createHmac } from 'node:crypto';
import { describe, expect } from 'vitest';
import { SecretValue } from '../../src/core/secret-value.ts';
import { createEventGridIntake } from '../../src/events/event-grid.ts';
import type { HttpIntakes, SubmitHints } from '../../src/events/hint.ts';
import { startVaultIntake } from '../../src/events/vault.ts';
import { createWebhookIntake } from '../../src/events/webhook.ts';
import { LIMITS } from '../../src/http/deps.ts';
import { buildServer } from '../../src/http/server.ts';
import { VaultConfig } from '../../src/providers/vault/config.ts';
import { vault } from '../../src/providers/vault/index.ts';
import type { Service } from '../../src/service/service.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { testDeps } from '../conformance/provider-deps.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { startVaultEvents } from '../fakes/vault-events.ts';
import { startVaultServer } from '../fakes/vault-server.ts';
import { waitUntil } from '../wait-until.ts';
import { describeChaos, type OpenChannel, STORE } from './chaos.ts';

// Runs the suite with random faults end to end, for webhooks, Event Grid and Vault streams.

const KEY = 'a key of the test';
const VAULT = 'https://contoso.vault.azure.net';
const credential = async () => SecretValue.fromText(KEY);
const clock = { now: () => Date.now() };

/** Posts events to the service, like a sender that repeats lost requests. */
function postEvents(
  create: (take: SubmitHints) => HttpIntakes,
  requestOf: (
    key: string,
    sent: number,
  ) => { readonly url: string; readonly headers: object; readonly body: string },
): OpenChannel {
  return async (take) => {
    const server = await buildServer(
      {
        backend: {
          service: {} as Service,
          audit: createMemoryAudit(),
          metrics: { render: async () => ({ contentType: '', text: '' }), signIn: () => undefined },
          events: create(take),
        },
        auth: { identify: async () => undefined },
        config: { metricsNeedToken: false },
        version: '1',
        logger: silentLogger,
      },
      { ...LIMITS, requests: 1_000_000 },
    );
    const pending: Promise<unknown>[] = [];
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
        pending.push(send(request));
        // Repeats some requests, as after a lost response, and adds some forged requests.
        if (sent % 7 === 0) pending.push(send(request));
        if (sent % 11 === 0) pending.push(send({ ...request, headers: {} }));
      },
      async drained() {
        await Promise.all(pending);
        expect(codes.get(202)).toBeGreaterThan(500);
        expect([...codes.keys()].filter((code) => code >= 500)).toEqual([]);
      },
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  };
}

const webhook = postEvents(
  (take) => {
    const config = { name: 'ci', stores: [STORE], secret: { env: 'K' } };
    const intake = createWebhookIntake({ config, credential, clock, submit: take });
    return { webhook: () => intake, eventGrid: () => undefined };
  },
  (key, sent) => {
    // The number of trailing spaces differs, so events in the same second have different bodies.
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

const eventGrid = postEvents(
  (take) => {
    const config = { name: 'grid', store: STORE, key: { env: 'K' } };
    const intake = createEventGridIntake({
      config,
      vaultUrl: VAULT,
      credential,
      clock,
      submit: withSlashes(take),
    });
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

/**
 * Replaces `found-` by `found/` in the keys of hints. The test uses `found-`, because Key Vault names cannot contain a
 * slash.
 */
function withSlashes(take: SubmitHints): SubmitHints {
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
  let submitted = 0;
  let expected = 0;
  const intake = startVaultIntake(
    {
      name: 'v',
      store: STORE,
      open: async () => provider,
      random: Math.random,
      pause: async () => undefined,
    },
    {
      submit(hints, origin) {
        submitted += hints.length;
        return take(hints, origin);
      },
      onSkipped: () => undefined,
      onProgress: () => undefined,
    },
  );
  await waitUntil(() => expect(events.streams).toBe(1));
  return {
    deliver(key) {
      sent += 1;
      // Without an open stream, the event is lost.
      if (events.streams === 1) expected += 1;
      events.send('kv-v2/data-write', `secret/data/${key}`);
      if (sent % 20 === 0) events.sendText('{"no":"event"}');
      if (sent % 100 === 0) events.end(1001);
    },
    drained: () =>
      waitUntil(() => {
        expect(submitted).toBeGreaterThan(expected / 2);
        expect(events.streams).toBe(1);
      }),
    async [Symbol.asyncDispose]() {
      for (const resource of [intake, provider, events, server]) await resource[Symbol.asyncDispose]();
    },
  };
};

describe('events under random faults', () => {
  describeChaos('signed webhooks', webhook, [5]);
  describeChaos('Event Grid', eventGrid, [6]);
  describeChaos('a Vault stream with disconnects', stream, [7]);
});
