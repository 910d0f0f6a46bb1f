import { describe, expect, it } from 'vitest';
import { entry } from '../audit/sample.ts';
import { type Answer, startTestServer, type TestServer, TOKENS } from './harness.ts';

const SYNC = '/api/v1/mappings/db/sync';
const ROLLBACK = '/api/v1/mappings/db/rollback';
const UNPIN = '/api/v1/mappings/db/unpin';
const RELEASE = '/api/v1/held/5f2c9a01d3e4/release';
const PRUNE = '/api/v1/prune';
const REVIEW = '/api/v1/audit/records/1/review';
/** Routes that accept a request without a body. */
const WITHOUT_BODY = [SYNC, RELEASE, UNPIN, PRUNE];

async function open(): Promise<TestServer> {
  const api = await startTestServer();
  await api.audit.append([entry()]);
  return api;
}

function post(api: TestServer, url: string, body?: string): Promise<Answer> {
  const sent = body === undefined ? {} : { body, headers: { 'content-type': 'application/json' } };
  return api.call('POST', url, { token: TOKENS.operator, ...sent });
}

const done = ({ calls, audit }: TestServer): number => calls.length + audit.records.length - 1;

const INVALID: readonly (readonly [url: string, body: string])[] = [
  ...WITHOUT_BODY.flatMap((url) =>
    ['false', 'true', '""', '"x"', '0', '1', '[]', '[{}]', '{"foo":1}', '{"foo":1,"foo":1}'].map(
      (body) => [url, body] as const,
    ),
  ),
  [UNPIN, '{"namespace":7}'],
  [UNPIN, '{"namespace":true}'],
  [ROLLBACK, '{"to":"8"}'],
  [ROLLBACK, '{"to":true}'],
  [ROLLBACK, '{"to":[8]}'],
  [ROLLBACK, '{"to":8,"namespace":7}'],
  [ROLLBACK, '{"to":8,"namespace":false}'],
  [REVIEW, '{"state":"reviewed","note":5}'],
  [REVIEW, '{"state":"reviewed","note":null}'],
  [REVIEW, '{"state":"reviewed","note":false}'],
  [REVIEW, '{"state":["reviewed"]}'],
  [REVIEW, `${'['.repeat(600)}${']'.repeat(600)}`],
];

const DUPLICATES: readonly (readonly [url: string, body: string, member: string])[] = [
  [REVIEW, '{"state":"reviewed","state":"flagged"}', 'state'],
  [REVIEW, '{"state":"reviewed","state":"reviewed"}', 'state'],
  [REVIEW, '{"note":"a","state":"reviewed","note":"b"}', 'note'],
  [REVIEW, '{"state":"reviewed","st\\u0061te":"flagged"}', 'state'],
  [ROLLBACK, '{"to":8,"to":9}', 'to'],
  [ROLLBACK, '{"to":8,"namespace":"a","namespace":"b"}', 'namespace'],
  [UNPIN, '{"namespace":"a","namespace":"a"}', 'namespace'],
];

describe('a request body', () => {
  it.each([undefined, 'null', '[]', '7'])(
    'a request body must be a JSON object if it is required: %s',
    async (body) => {
      await using api = await open();
      const { status, json } = await post(api, REVIEW, body);
      expect([status, json.message]).toEqual([
        400,
        expect.stringContaining('the body must be a JSON object'),
      ]);
    },
  );

  it.each(INVALID)('a request body for %s is rejected and has no effect: %s', async (url, body) => {
    await using api = await open();
    const { status, json } = await post(api, url, body);
    expect([status, json.code, done(api)]).toEqual([400, 'INVALID_REQUEST', 0]);
  });

  it.each(DUPLICATES)(
    'a request body for %s is rejected and has no effect: %s has the duplicate member `%s`',
    async (url, body, name) => {
      await using api = await open();
      const { status, json } = await post(api, url, body);
      expect([status, json.code, done(api)]).toEqual([400, 'INVALID_REQUEST', 0]);
      expect(json.message).toContain(`the member of the body \`${name}\` is duplicated`);
    },
  );

  it('a request body is rejected if it has unknown members, and the response does not contain their names', async () => {
    await using api = await open();
    for (const url of [...WITHOUT_BODY, ROLLBACK, REVIEW])
      expect((await post(api, url, '{"hunter2":1,"hunter2":2}')).text).not.toContain('hunter2');
  });

  it.each(WITHOUT_BODY)('a request body can be missing or empty for %s', async (url) => {
    await using api = await open();
    for (const body of [undefined, '', '{}', ' { } ', 'null'])
      expect([body, (await post(api, url, body)).status]).toEqual([body, 200]);
    expect(done(api)).toBe(5);
  });

  it('a request body is accepted if its members have the right types', async () => {
    await using api = await open();
    expect((await post(api, ROLLBACK, '{"to":8,"namespace":"apps"}')).status).toBe(200);
    expect((await post(api, REVIEW, '\uFEFF{"state":"reviewed","note":"5"}')).status).toBe(200);
    expect(api.calls).toMatchObject([{ what: 'rollback db 8 apps' }]);
    expect(api.audit.records.at(-1)).toMatchObject({ action: 'review', note: '5' });
  });
});

describe('URL parameters', () => {
  it.each([
    ['records?limit=1', 200],
    ['records?trace=false', 200],
    ['records/1', 200],
    ['records?limit=1.5', 400],
    ['records?limit=1e1', 400],
    ['records?limit=', 400],
    ['records?limit=true', 400],
    ['records?trace=1', 400],
    ['records?trace=', 400],
    ['records/0x1', 400],
    ['records/99999999999999999999', 400],
  ])(
    'URL parameters are accepted only if they have the right type: %s returns status %i',
    async (path, status) => {
      await using api = await open();
      expect((await api.get(`/api/v1/audit/${path}`)).status).toBe(status);
    },
  );
});
