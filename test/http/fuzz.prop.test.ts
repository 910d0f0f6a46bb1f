import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { entry } from '../audit/sample.ts';
import { GRID_KEY, SECRET, sign, startEventTestServer } from './events-harness.ts';
import { startTestServer, TOKENS } from './harness.ts';

/** A marker that every request contains and no response may contain. */
const MARKER = 'mArKeR';
const nasty = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    '__proto__',
    'constructor',
    '..',
    '../../etc',
    '\0',
    "' OR 1=1 --",
    '{{7*7}}',
    '%00',
    '🔑',
    '',
  ),
);
const part = nasty.map((text) => encodeURIComponent(`${text}${MARKER}`.toWellFormed()));
const raw = fc.string({ maxLength: 60 }).map((text) => text.replace(/[^!-~]/g, ''));
const parameter = fc.constantFrom(
  ...[
    'since',
    'until',
    'actor',
    'mapping',
    'namespace',
    'secret',
    'store',
    'key',
    'action',
    'outcome',
    'code',
  ],
  ...['request', 'fingerprint', 'limit', 'cursor', MARKER, '__proto__', 'a[b]'],
);
const query = fc.array(fc.tuple(parameter, part), { maxLength: 4 });

describe('any request', () => {
  it('any request gets a status below 500, and its response does not echo the request', async () => {
    await using api = await startTestServer({}, { requests: 1_000_000 });
    await api.audit.append([entry()]);
    const url = fc.oneof(
      part.map((name) => `/api/v1/mappings/${name}`),
      part.map((name) => `/api/v1/mappings/${name}/sync`),
      part.map((name) => `/api/v1/mappings/${name}/rollback`),
      part.map((name) => `/api/v1/held/${name}/release`),
      fc.constantFrom('/api/v1/mappings/db/rollback', '/api/v1/mappings/db/unpin', '/api/v1/prune'),
      part.map((name) => `/api/v1/audit/records/${name}`),
      part.map((name) => `/${name}`),
      raw.map((text) => `/api/v1/mappings/${text}${MARKER}`),
      raw.map((text) => `/api/v1/audit/records?${text}${MARKER}`),
      fc
        .tuple(fc.constantFrom('audit/records', 'mappings', 'held', 'status', 'audit/verify'), query)
        .map(([list, pairs]) => `/api/v1/${list}?${pairs.map((pair) => pair.join('=')).join('&')}`),
    );
    const method = fc.constantFrom('GET', 'POST', 'HEAD', 'DELETE' as const);
    const body = fc.option(fc.oneof(nasty, fc.json()), { nil: undefined });
    await fc.assert(
      fc.asyncProperty(url, method, body, async (address, verb, payload) => {
        const { status, text } = await api.call(verb, address, {
          token: TOKENS.operator,
          ...(payload === undefined || verb === 'GET' || verb === 'HEAD'
            ? {}
            : { body: payload, headers: { 'content-type': 'application/json' } }),
        });
        expect(status).toBeLessThan(500);
        expect(text).not.toContain(MARKER);
      }),
      { numRuns: 200 },
    );
    expect(JSON.stringify(api.log)).not.toContain(MARKER);
  });
});

const EVENT = {
  id: 'x',
  topic: MARKER,
  subject: MARKER,
  eventType: 'Microsoft.KeyVault.SecretNewVersionCreated',
  data: {
    Id: 'https://contoso.vault.azure.net/secrets/a/1',
    VaultName: 'contoso',
    ObjectName: 'a',
    Value: MARKER,
    [MARKER]: MARKER,
  },
};

describe('any event', () => {
  it('responses and log lines contain nothing from an event except the names of stores and keys', async () => {
    await using events = await startEventTestServer();
    const answers: string[] = [];
    const record = (answer: { readonly text: string; readonly headers: object }) =>
      answers.push(answer.text, JSON.stringify(answer.headers));
    for (const body of [
      `{"store":"team-vault","key":"a","value":"${MARKER}"}`,
      `{"store":"${MARKER}","key":"a"}`,
      `{"store":"team-vault","key":{"${MARKER}":1}}`,
      `${MARKER}{`,
      `{"store":"team-vault","key":"${MARKER}"}`,
    ]) {
      record(await events.webhook(body));
      record(await events.webhook(body, { signature: `t=${MARKER},v1=${MARKER}` }));
      record(await events.webhook(body, { signature: sign(body, events.now, MARKER), name: MARKER }));
      record(await events.webhook(body, { signature: sign(body, events.now, MARKER) }));
    }
    for (const body of [
      [EVENT],
      { ...EVENT.data, specversion: '1.0', type: MARKER, data: MARKER },
      MARKER,
      [
        {
          ...EVENT,
          eventType: 'Microsoft.EventGrid.SubscriptionValidationEvent',
          data: { validationCode: `${MARKER} ` },
        },
      ],
    ]) {
      record(await events.grid(body));
      record(
        await events.grid(body, {
          headers: { 'aeg-sas-key': MARKER, 'content-type': `application/${MARKER}` },
        }),
      );
      record(
        await events.grid(body, { headers: { authorization: MARKER }, query: `?key=${MARKER}&${MARKER}=1` }),
      );
    }
    events.runTimers();
    const output = answers.join('\n') + JSON.stringify(events.api.log);
    expect(events.submissions.length).toBeGreaterThan(1);
    for (const secret of [MARKER, SECRET, GRID_KEY]) expect(output).not.toContain(secret);
  });

  it('any request gets a status below 500, and its response does not echo the request', async () => {
    await using events = await startEventTestServer({ requests: 1_000_000 });
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.json(),
      fc.constantFrom('[', '\0', '{}', '[{}]'),
    );
    const header = fc.string({ maxLength: 40 }).map((raw) => raw.replace(/[^ -~]/g, ''));
    await fc.assert(
      fc.asyncProperty(text, header, fc.boolean(), async (body, signature, signed) => {
        const marked = `${body}${MARKER}`;
        const hook = await events.webhook(marked, {
          signature: signed ? sign(marked, events.now) : signature,
        });
        const grid = await events.grid(marked, {
          headers: { 'content-type': signature, 'aeg-sas-key': signed ? GRID_KEY : signature },
        });
        for (const { status, text: answer } of [hook, grid]) {
          expect(status).toBeLessThan(500);
          expect(answer).not.toContain(MARKER);
        }
      }),
      { numRuns: 150 },
    );
    expect(JSON.stringify(events.api.log)).not.toContain(MARKER);
  });
});
