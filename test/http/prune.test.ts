import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/core/error-codes.ts';
import { AppError } from '../../src/core/errors.ts';
import { LEFT, openBench, TOKENS } from './harness.ts';

const PRUNE = '/api/v1/prune';

describe('prune', () => {
  it('lists what left for whoever may look, and deletes nothing by it', async () => {
    await using bench = await openBench();
    expect(await bench.get(PRUNE)).toMatchObject({ status: 200, json: LEFT });
    expect(bench.asked).toEqual([]);
  });

  it('is done in the name of whoever asks, under the id of the answer', async () => {
    await using bench = await openBench();
    const answer = await bench.call('POST', PRUNE, { token: TOKENS.operator, from: '192.0.2.7' });
    expect(answer.status).toBe(200);
    const requestId = answer.headers['x-request-id'];
    expect(answer.json).toMatchObject({ ok: true, requestId });
    expect(bench.asked).toEqual([
      { what: 'prune', by: { name: 'the-operator', address: '192.0.2.7' }, requestId },
    ]);
  });

  it.each(['viewer', 'reviewer'] as const)('is not for a %s', async (role) => {
    await using bench = await openBench();
    expect(await bench.call('POST', PRUNE, { token: TOKENS[role] })).toMatchObject({ status: 403 });
    expect(bench.asked).toEqual([]);
  });

  it('takes no filter that it would ignore', async () => {
    await using bench = await openBench();
    const token = TOKENS.operator;
    expect(await bench.get(`${PRUNE}?mapping=db`)).toMatchObject({ status: 400 });
    expect(await bench.call('POST', `${PRUNE}?yes=true`, { token })).toMatchObject({ status: 400 });
    expect(bench.asked).toEqual([]);
  });

  it('is answered by the status of what stands against it', async () => {
    let code: ErrorCode = 'INTERNAL';
    const refuse = async () => {
      throw new AppError(code);
    };
    await using bench = await openBench({ service: { left: refuse, prune: refuse } });
    for (const [said, status] of [
      ['AUDIT_UNAVAILABLE', 503],
      ['AUDIT_TRUNCATED', 503],
      ['CLUSTER_UNAVAILABLE', 503],
      ['CLUSTER_FORBIDDEN', 503],
    ] as const) {
      code = said;
      for (const method of ['GET', 'POST'] as const)
        expect(await bench.call(method, PRUNE, { token: TOKENS.operator })).toMatchObject({
          status,
          json: { code },
        });
    }
  });
});
