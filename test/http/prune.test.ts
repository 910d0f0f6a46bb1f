import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/core/error-codes.ts';
import { AppError } from '../../src/core/errors.ts';
import { ORPHANS, startTestServer, TOKENS } from './harness.ts';

const PRUNE = '/api/v1/prune';

describe('the prune routes', () => {
  it('the prune routes list the orphaned targets for a viewer without deleting them', async () => {
    await using api = await startTestServer();
    expect(await api.get(PRUNE)).toMatchObject({ status: 200, json: ORPHANS });
    expect(api.calls).toEqual([]);
  });

  it('the prune routes pass the caller and the request id to the service', async () => {
    await using api = await startTestServer();
    const answer = await api.call('POST', PRUNE, { token: TOKENS.operator, from: '192.0.2.7' });
    expect(answer.status).toBe(200);
    const requestId = answer.headers['x-request-id'];
    expect(answer.json).toMatchObject({ ok: true, requestId });
    expect(api.calls).toEqual([
      { what: 'prune', by: { name: 'the-operator', address: '192.0.2.7' }, requestId },
    ]);
  });

  it.each(['viewer', 'reviewer'] as const)('the prune routes reject a request from a %s', async (role) => {
    await using api = await startTestServer();
    expect(await api.call('POST', PRUNE, { token: TOKENS[role] })).toMatchObject({ status: 403 });
    expect(api.calls).toEqual([]);
  });

  it('the prune routes reject unknown filters', async () => {
    await using api = await startTestServer();
    const token = TOKENS.operator;
    expect(await api.get(`${PRUNE}?mapping=db`)).toMatchObject({ status: 400 });
    expect(await api.call('POST', `${PRUNE}?yes=true`, { token })).toMatchObject({ status: 400 });
    expect(api.calls).toEqual([]);
  });

  it('the prune routes return the HTTP status that belongs to each error of the service', async () => {
    let code: ErrorCode = 'INTERNAL';
    const refuse = async () => {
      throw new AppError(code);
    };
    await using api = await startTestServer({ service: { orphans: refuse, prune: refuse } });
    for (const [errorCode, status] of [
      ['AUDIT_UNAVAILABLE', 503],
      ['AUDIT_TRUNCATED', 503],
      ['CLUSTER_UNAVAILABLE', 503],
      ['CLUSTER_FORBIDDEN', 503],
    ] as const) {
      code = errorCode;
      for (const method of ['GET', 'POST'] as const)
        expect(await api.call(method, PRUNE, { token: TOKENS.operator })).toMatchObject({
          status,
          json: { code },
        });
    }
  });
});
