import { describe, expect, it } from 'vitest';
import { GRID_KEY, startEventTestServer } from './events-harness.ts';

const DATA = {
  Id: 'https://contoso.vault.azure.net/secrets/payments-db/ee059b2bb5bc48398a53b168c6cdcb10',
  VaultName: 'contoso',
  ObjectType: 'Secret',
  ObjectName: 'payments-db',
  Version: 'ee059b2bb5bc48398a53b168c6cdcb10',
  NBF: null,
  EXP: null,
};

/** The event format: https://learn.microsoft.com/en-us/azure/event-grid/event-schema-key-vault */
function event(data: object = DATA, eventType = 'Microsoft.KeyVault.SecretNewVersionCreated') {
  return {
    id: '00eccf70-95a7-4e7c-8299-2eb17ee9ad64',
    topic: '/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/contoso',
    subject: 'payments-db',
    eventType,
    eventTime: '2026-09-25T01:08:33.1036736Z',
    data,
    dataVersion: '1',
    metadataVersion: '1',
  };
}

const CLOUD_EVENT = {
  id: '00eccf70-95a7-4e7c-8299-2eb17ee9ad64',
  source: '/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/contoso',
  specversion: '1.0',
  type: 'Microsoft.KeyVault.SecretNewVersionCreated',
  subject: 'payments-db',
  time: '2026-09-25T01:08:33.1036736Z',
  data: DATA,
};

const VALIDATION = 'Microsoft.EventGrid.SubscriptionValidationEvent';

describe('Key Vault events in a request', () => {
  it.each([
    ['a list in the Event Grid schema', [event()], 'application/json; charset=utf-8'],
    ['a CloudEvent', CLOUD_EVENT, 'application/cloudevents+json'],
    ['a batch of CloudEvents', [CLOUD_EVENT], 'application/cloudevents-batch+json; charset=utf-8'],
  ])('Key Vault events are accepted if they are sent as %s', async (_, body, type) => {
    await using events = await startEventTestServer();
    const answer = await events.grid(body, {
      headers: { 'content-type': type, 'x-secretbridge-key': GRID_KEY, 'aeg-event-type': 'Notification' },
    });
    expect(answer).toMatchObject({
      status: 202,
      json: { requestId: answer.headers['x-request-id'], targets: 1 },
    });
    expect(events.submissions).toEqual([
      {
        hints: [{ store: 'azure-prod', keys: ['payments-db'] }],
        origin: { kind: 'eventGrid', name: 'contoso' },
        requestId: answer.json.requestId,
      },
    ]);
  });

  it.each(
    ['Secret', 'Certificate', 'Key'].flatMap((kind) =>
      ['NewVersionCreated', 'NearExpiry', 'Expired'].map((what) => kind + what),
    ),
  )('Key Vault events become hints if they are about %s', async (what) => {
    await using events = await startEventTestServer();
    await events.grid([event(DATA, `Microsoft.KeyVault.${what}`)]);
    expect(events.submissions[0]?.hints).toHaveLength(1);
  });

  it('Key Vault events become one hint for each changed key, with both the sent and the lower-case spelling of the key', async () => {
    await using events = await startEventTestServer();
    const named = (ObjectName: string) => event({ ...DATA, ObjectName });
    const { json } = await events.grid([named('a'), named('Cert-B'), named('a')]);
    expect(json.targets).toBe(2);
    expect(events.submissions[0]?.hints).toEqual([
      { store: 'azure-prod', keys: ['a'] },
      { store: 'azure-prod', keys: ['Cert-B', 'cert-b'] },
    ]);
  });

  it('Key Vault events can use the documented letter case, and can omit the object URL', async () => {
    await using events = await startEventTestServer();
    await events.grid([
      event({ Id: DATA.Id, vaultName: 'contoso', 'objectName ': 'payments-db', version: ' 1' }),
      event({ vaultName: 'Contoso', objectName: 'other' }),
    ]);
    expect(events.submissions[0]?.hints.flatMap(({ keys }) => keys)).toEqual(['payments-db', 'other']);
  });

  it.each([
    ['of another vault', event({ ...DATA, Id: 'https://other.vault.azure.net/secrets/payments-db/1' })],
    [
      'of a vault with this name in another cloud',
      event({ ...DATA, Id: 'https://contoso.vault.azure.cn/secrets/a/1' }),
    ],
    ['of another vault by its name', event({ VaultName: 'contoso2', ObjectName: 'a' })],
    ['without a vault', event({ ObjectName: 'a' })],
    ['without an object', event({ ...DATA, ObjectName: undefined })],
    ['with an invalid object name', event({ ...DATA, ObjectName: '../a' })],
    ['of another type', event(DATA, 'Microsoft.KeyVault.VaultAccessPolicyChanged')],
    ['of another service', event(DATA, 'Microsoft.Storage.BlobCreated')],
    ['without a type', { ...event(), eventType: 7 }],
    ['of another version of CloudEvents', { ...CLOUD_EVENT, specversion: '0.3' }],
    ['not events', 'text'],
  ])('Key Vault events are accepted but cause no hint if they are %s', async (_, body) => {
    await using events = await startEventTestServer();
    const answer = await events.grid([body]);
    expect(answer).toMatchObject({ status: 202, json: { targets: 0 } });
    expect(events.submissions).toMatchObject([{ hints: [] }]);
  });

  it.each([
    ['not JSON', '[{'],
    ['empty', ''],
    ['a number', '7'],
  ])('Key Vault events are rejected if the body is %s', async (_, body) => {
    await using events = await startEventTestServer();
    expect(await events.grid(body)).toMatchObject({ status: 400, json: { code: 'INVALID_REQUEST' } });
    expect(events.refused).toEqual([{ kind: 'eventGrid', name: 'contoso', outcome: 'malformed' }]);
  });

  it('Key Vault events can have a size of up to one megabyte', async () => {
    await using events = await startEventTestServer();
    const list = Array.from({ length: 1_500 }, (_, index) => event({ ...DATA, ObjectName: `key-${index}` }));
    expect(JSON.stringify(list).length).toBeGreaterThan(750_000);
    expect(await events.grid(list)).toMatchObject({ status: 202, json: { targets: 1_500 } });
    expect((await events.grid([...list, ...list])).status).toBe(413);
  });
});

describe('the validation handshake', () => {
  it('the validation handshake returns the code from the request', async () => {
    await using events = await startEventTestServer();
    const validationCode = '512d38b6-c7b8-40c8-89fe-f46f9e9622b6';
    const url = 'https://rp-eastus2.eventgrid.azure.net:553/eventsubscriptions/x/validate?id=1';
    const answer = await events.grid([event({ validationCode, validationUrl: url }, VALIDATION)]);
    expect([answer.status, answer.json]).toEqual([200, { validationResponse: validationCode }]);
    expect(events.submissions).toEqual([]);
  });

  it('the validation handshake rejects malformed validation codes', async () => {
    await using events = await startEventTestServer();
    for (const validationCode of ['<script>', 'a b', '', 7, 'x'.repeat(129), undefined])
      expect((await events.grid([event({ validationCode }, VALIDATION)])).status).toBe(400);
  });

  it('the validation handshake for CloudEvents requires the key of the subscription', async () => {
    await using events = await startEventTestServer();
    const ask = (query: string, origin = 'eventgrid.azure.net') =>
      events.api.call('OPTIONS', `/events/azure/contoso${query}`, {
        headers: { 'webhook-request-origin': origin },
      });
    const { status, headers } = await ask(`?key=${GRID_KEY}`);
    expect([status, headers['webhook-allowed-origin'], headers['webhook-allowed-rate']]).toEqual([
      200,
      'eventgrid.azure.net',
      '1000',
    ]);
    expect((await ask('')).status).toBe(401);
    expect((await ask('?key=x')).status).toBe(401);
    expect((await ask(`?key=${GRID_KEY}`, 'a b')).status).toBe(400);
  });

  it('the validation handshake requires the key of the subscription', async () => {
    await using events = await startEventTestServer();
    expect((await events.grid([event({ validationCode: 'a' }, VALIDATION)], { headers: {} })).status).toBe(
      401,
    );
  });
});

describe('the key of an event subscription', () => {
  it.each([
    ['our header', { headers: { 'x-secretbridge-key': GRID_KEY } }],
    ['the header of Event Grid', { headers: { 'aeg-sas-key': GRID_KEY } }],
    ['the URL', { headers: {}, query: `?key=${GRID_KEY}` }],
    ['the URL with other parameters', { headers: {}, query: `?code=1&key=${GRID_KEY}&x[]=2` }],
  ])('the key of an event subscription can be sent in %s', async (_, options) => {
    await using events = await startEventTestServer();
    expect((await events.grid([event()], options)).status).toBe(202);
  });

  it.each([
    ['missing', {}],
    ['wrong', { 'x-secretbridge-key': `${GRID_KEY}x` }],
    ['empty', { 'x-secretbridge-key': '' }],
    ['repeated', { 'x-secretbridge-key': `${GRID_KEY},${GRID_KEY}` }],
    ['sent as a bearer token', { authorization: `Bearer ${GRID_KEY}` }],
  ])('the key of an event subscription is rejected if it is %s', async (_, headers) => {
    await using events = await startEventTestServer();
    const answer = await events.grid([event()], { headers });
    expect([answer.status, answer.json.code]).toEqual([401, 'EVENT_REFUSED']);
    expect(events.submissions).toEqual([]);
  });

  it('the key of an event subscription is checked before the body is read', async () => {
    await using events = await startEventTestServer();
    const body = 'x'.repeat(2_000_000);
    expect((await events.grid(body, { headers: {} })).status).toBe(401);
    expect((await events.grid(body)).status).toBe(413);
  });

  it('the key of an event subscription can be rotated, and causes 503 if it cannot be read', async () => {
    await using events = await startEventTestServer();
    expect((await events.grid([])).status).toBe(202);
    events.credentials.set('GRID', 'next');
    events.now += 1_000;
    expect((await events.grid([], { headers: { 'aeg-sas-key': 'next' } })).status).toBe(202);
    events.credentials.delete('GRID');
    events.now += 10_000;
    expect(await events.grid([])).toMatchObject({ status: 503, json: { code: 'CREDENTIAL_MISSING' } });
    const lines = events.api.log.filter(({ level }) => level === 'warn');
    expect(lines).toMatchObject([{ message: 'events cannot be accepted', fields: { name: 'contoso' } }]);
  });

  it('the key of an event subscription is never logged, even if the URL contains it', async () => {
    await using events = await startEventTestServer();
    await events.grid([event()], { headers: {}, query: `?key=${GRID_KEY}` });
    await events.grid([event()], { headers: {}, query: '?key=wRoNg-key' });
    const log = JSON.stringify(events.api.log);
    expect(log).toContain('/events/azure/:name');
    expect(log).not.toContain(GRID_KEY);
    expect(log).not.toContain('wRoNg');
  });
});

it('the route for Event Grid returns 404 for an unknown subscription, and 405 for GET', async () => {
  await using events = await startEventTestServer();
  expect((await events.grid([event()], { name: 'ci' })).status).toBe(404);
  const { status, headers } = await events.api.call('GET', '/events/azure/contoso');
  expect([status, headers.allow]).toEqual([405, 'OPTIONS, POST']);
});
