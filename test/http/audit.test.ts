import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { toStored } from '../../src/audit/chain.ts';
import { verify } from '../../src/audit/verify/verify.ts';
import { AppError } from '../../src/core/errors.ts';
import { bare, entry, fingerprint } from '../audit/sample.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { waitUntil } from '../wait-until.ts';
import { startTestServer, type TestServer, TOKENS } from './harness.ts';

const RECORDS = '/api/v1/audit/records';

function postReview(api: TestServer, sequence: number | string, body: unknown, token = TOKENS.reviewer) {
  return api.call('POST', `${RECORDS}/${sequence}/review`, {
    token,
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

describe('the review route', () => {
  it('the review route rejects a request without a state', async () => {
    await using api = await startTestServer();
    await api.audit.append([entry()]);
    expect(await postReview(api, 1, { note: 'why?' })).toMatchObject({
      status: 400,
      json: { message: expect.stringContaining('the member of the body `state` is missing') },
    });
  });

  it('the review route stores the reviewer with the review, and later responses with the reviewed record include the review', async () => {
    await using api = await startTestServer();
    await api.audit.append([entry(), bare()]);
    const answer = await postReview(api, 1, { state: 'flagged', note: '<b>why?</b>' });
    const reviewed = { state: 'flagged', by: 'the-reviewer', note: '<b>why?</b>', sequence: 3 };
    expect(answer).toMatchObject({ status: 200, json: { sequence: 1, action: 'update', reviewed } });
    expect(api.audit.records.at(-1)).toMatchObject({
      action: 'review',
      actor: { kind: 'operator', name: 'the-reviewer', address: '127.0.0.1' },
      requestId: answer.headers['x-request-id'],
      review: { sequence: 1, state: 'flagged' },
    });
    expect((await api.get(`${RECORDS}?review=flagged`)).json).toMatchObject({
      records: [{ sequence: 1, reviewed }],
    });
    expect((await api.get(`${RECORDS}?review=unreviewed`)).json).toMatchObject({
      records: [{ sequence: 2 }],
    });
    expect((await api.get(`${RECORDS}/1`)).json).toMatchObject({ reviewed });
  });

  it.each([
    ['', 400],
    ['{', 400],
    [{}, 400],
    [{ state: 'unreviewed' }, 400],
    [{ state: 'reviewed', note: ['x', 'y'] }, 400],
    [{ state: 'reviewed', note: 'x'.repeat(2_001) }, 400],
    [{ state: 'reviewed', by: 'bob' }, 400],
    [['reviewed'], 400],
  ])('the review route rejects the body %j', async (body, status) => {
    await using api = await startTestServer();
    await api.audit.append([entry()]);
    expect(await postReview(api, 1, body)).toMatchObject({ status, json: { code: 'INVALID_REQUEST' } });
    expect(api.audit.records).toHaveLength(1);
  });

  it('the review route returns 404 for a missing record, 409 for a review record, and 503 if the audit store is unavailable', async () => {
    await using api = await startTestServer();
    await api.audit.append([entry()]);
    expect(await postReview(api, 9, { state: 'reviewed' })).toMatchObject({
      status: 404,
      json: { code: 'RECORD_MISSING' },
    });
    expect(await postReview(api, 'x', { state: 'reviewed' })).toMatchObject({ status: 400 });
    await postReview(api, 1, { state: 'reviewed' });
    const [{ sequence } = { sequence: 0 }] = await api.audit.list({ action: 'review' }, { limit: 1 });
    expect(await postReview(api, sequence, { state: 'reviewed' })).toMatchObject({ status: 409 });
    api.audit.failure = new AppError('AUDIT_UNAVAILABLE');
    expect(await postReview(api, 1, { state: 'flagged' })).toMatchObject({
      status: 503,
      json: { code: 'AUDIT_UNAVAILABLE' },
    });
  });

  it('the review route rejects the token of a viewer', async () => {
    await using api = await startTestServer();
    await api.audit.append([entry()]);
    expect(await postReview(api, 1, { state: 'reviewed' }, TOKENS.viewer)).toMatchObject({ status: 403 });
    expect(await postReview(api, 1, { state: 'reviewed' }, TOKENS.operator)).toMatchObject({ status: 200 });
  });
});

describe('the routes for records', () => {
  it('the routes for records find records by a fingerprint, and also return the source versions if `trace` is set', async () => {
    await using api = await startTestServer();
    const source = { store: 'vault', key: 'db', version: '3' };
    await api.audit.append([
      bare({ action: 'read', store: 'vault', key: 'db', sources: [source], after: fingerprint(9) }),
      entry({ sources: [source] }),
      entry(),
    ]);
    const url = `${RECORDS}?fingerprint=${fingerprint(9)}`;
    expect((await api.get(url)).json).toMatchObject({ records: [{ sequence: 1 }] });
    expect((await api.get(`${url}&trace=true`)).json).toMatchObject({
      records: [{ sequence: 2 }, { sequence: 1 }],
      versions: [{ store: 'vault', key: 'db', version: '3' }],
      more: false,
    });
    expect(await api.get(`${RECORDS}?trace=true`)).toMatchObject({ status: 400 });
    expect(await api.get(`${RECORDS}?review=maybe`)).toMatchObject({ status: 400 });
  });

  it('the routes for records return a record together with its outcome and its position in the chain', async () => {
    await using api = await startTestServer();
    await api.audit.append([entry({ phase: 'intent' }), entry({ phase: 'outcome' })]);
    expect((await api.get(`${RECORDS}/1`)).json).toMatchObject({
      sequence: 1,
      counterpart: { sequence: 2, phase: 'outcome' },
      chain: { next: 2, head: 2, fits: true },
    });
  });
});

describe('the export route', () => {
  it('the export route yields to other work after every chunk, even with ten concurrent exports', async () => {
    const audit = createMemoryAudit();
    await audit.append(Array.from({ length: 2_000 }, () => bare()));
    let read = 0;
    const counting = Object.assign(Object.create(audit), {
      async *storedRecords(from: number) {
        for await (const record of audit.storedRecords(from)) {
          read += 1;
          yield record;
        }
      },
    });
    await using api = await startTestServer({ audit: counting });
    let maxReads = 0;
    let isRunning = true;
    const exports = Promise.all(
      Array.from({ length: 10 }, () => api.get('/api/v1/audit/export?format=csv')),
    ).finally(() => {
      isRunning = false;
    });
    while (isRunning) {
      const before = read;
      await setImmediate();
      maxReads = Math.max(maxReads, read - before);
    }
    for (const { status, text } of await exports)
      expect([status, text.endsWith('\r\n')]).toEqual([200, true]);
    expect(read).toBeGreaterThanOrEqual(10 * 2_000);
    expect(maxReads).toBeLessThanOrEqual(500);
  });

  it('the export route returns verifiable JSON lines by default', async () => {
    await using api = await startTestServer();
    await api.audit.append([entry(), bare()]);
    const answer = await api.get('/api/v1/audit/export?action=update');
    expect(answer).toMatchObject({
      status: 200,
      headers: { 'content-disposition': 'attachment; filename="audit.jsonl"' },
    });
    expect(answer.text).toBe((await api.get('/api/v1/audit/export?action=update&format=jsonl')).text);
    expect(answer.text).toMatch(/^\{"action":"update",.*\}\n$/);
    expect((await api.get('/api/v1/audit/export?format=xml')).status).toBe(400);
  });

  it('the export route completes while other clients stall or disconnect', async () => {
    await using api = await startTestServer();
    await api.audit.append(Array.from({ length: 3_000 }, () => entry({ note: 'x'.repeat(5_000) })));
    const url = await api.server.listen('127.0.0.1:0');
    const ask = () => {
      const exportRequest = request(`${url}/api/v1/audit/export?format=jsonl`, {
        agent: false,
        headers: { authorization: `Bearer ${TOKENS.viewer}` },
      });
      exportRequest.on('error', () => {}).end();
      return exportRequest;
    };
    const stalled = [ask(), ask()];
    await Promise.all(stalled.map((exportRequest) => once(exportRequest, 'response')));
    const disconnected = Array.from({ length: 8 }, ask);
    await Promise.all(disconnected.map((exportRequest) => once(exportRequest, 'finish')));
    for (const exportRequest of disconnected) exportRequest.destroy();
    const answer = await api.get('/api/v1/audit/export?format=csv&action=update');
    expect(answer.text.split('\r\n').length).toBeGreaterThan(3_000);
    for (const exportRequest of stalled) exportRequest.destroy();
    await waitUntil(() => {
      const exports = api.audit.records.filter(({ action }) => action === 'export');
      const ends = exports.filter(({ counts }) => counts !== undefined);
      expect(ends).toHaveLength(exports.length / 2);
      expect(ends.filter(({ outcome }) => outcome === 'ok')).toHaveLength(1);
    });
  });

  it('the export route sends a verifiable download, and adds a record of the export to the audit log', async () => {
    await using api = await startTestServer();
    await api.audit.append(Array.from({ length: 1_100 }, () => entry()));
    const answer = await api.get('/api/v1/audit/export?format=jsonl');
    expect(answer).toMatchObject({
      status: 200,
      headers: {
        'content-type': 'application/x-ndjson; charset=utf-8',
        'content-disposition': 'attachment; filename="audit.jsonl"',
        'cache-control': 'no-store',
      },
    });
    const lines = answer.text.split('\n').slice(0, -1);
    expect(lines).toHaveLength(1_100);
    expect(await verify(lines.map((line) => toStored(JSON.parse(line))))).toMatchObject({
      kind: 'intact',
      records: 1_100,
    });
    expect(api.audit.records.slice(1_100)).toMatchObject([
      { action: 'export', note: 'begins: jsonl', actor: { name: 'the-viewer', address: '127.0.0.1' } },
      { action: 'export', note: 'jsonl', outcome: 'ok', counts: { records: 1_100 } },
    ]);
  });

  it('the export route accepts the same filters as the list of records', async () => {
    await using api = await startTestServer();
    await api.audit.append([bare(), entry()]);
    const csv = await api.get('/api/v1/audit/export?format=csv&action=sweep');
    expect(csv.headers['content-type']).toBe('text/csv; charset=utf-8; header=present');
    expect(csv.headers['content-disposition']).toBe('attachment; filename="audit.csv"');
    expect(csv.text.split('\r\n')).toHaveLength(3);
    const ocsf = await api.get('/api/v1/audit/export?format=ocsf&mapping=payments-db');
    expect(JSON.parse(ocsf.text)).toMatchObject({ class_uid: 3004, metadata: { sequence: 2 } });
  });

  it.each(['format=', 'format=xml', 'format=csv&since=x', 'format=csv&limit=5', 'format=csv&token=x'])(
    'the export route rejects the query %j and records nothing',
    async (query) => {
      await using api = await startTestServer();
      expect(await api.get(`/api/v1/audit/export?${query}`)).toMatchObject({ status: 400 });
      expect(api.audit.records).toEqual([]);
    },
  );

  it('the export route fails if the export cannot be recorded', async () => {
    await using api = await startTestServer();
    api.audit.failure = new AppError('AUDIT_UNAVAILABLE');
    expect(await api.get('/api/v1/audit/export?format=csv')).toMatchObject({
      status: 503,
      json: { code: 'AUDIT_UNAVAILABLE' },
    });
  });

  it('the export route rejects HEAD', async () => {
    await using api = await startTestServer();
    const token = TOKENS.viewer;
    expect(await api.call('HEAD', '/api/v1/audit/export?format=csv', { token })).toMatchObject({
      status: 405,
    });
    expect(api.audit.records).toEqual([]);
  });

  it.each([
    ['when the client disconnects', (answer: IncomingMessage) => void answer.destroy()],
    ['when the server closes', (_: IncomingMessage, api: TestServer) => void api.server.close(1_000)],
  ])('if an export ends early (%s), its record contains the number of sent records', async (_, end) => {
    await using api = await startTestServer();
    // The records do not fit into the socket buffers.
    await api.audit.append(Array.from({ length: 5_000 }, () => entry({ note: 'x'.repeat(5_000) })));
    const url = await api.server.listen('127.0.0.1:0');
    const headers = { authorization: `Bearer ${TOKENS.viewer}` };
    const exportRequest = request(`${url}/api/v1/audit/export?format=jsonl`, { headers });
    const response = once(exportRequest, 'response');
    exportRequest.end();
    const [answer] = (await response) as [IncomingMessage];
    // The client must see an error, because the partial file would otherwise look complete.
    const cut = once(answer, 'error');
    answer.once('data', () => end(answer, api));
    await waitUntil(() =>
      expect(api.audit.records.at(-1)).toMatchObject({ outcome: 'failed', code: 'INTERRUPTED' }),
    );
    expect(api.audit.records.at(-1)?.counts?.records).toBeLessThan(5_000);
    if (!answer.destroyed) await cut;
  });
});
