import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { openBench, TOKENS } from './harness.ts';

const token = TOKENS.operator;

describe('rollback and unpin', () => {
  it('are done in the name of whoever asks, under the id of the answer', async () => {
    await using bench = await openBench();
    const rollback = await bench.call('POST', '/api/v1/mappings/db/rollback', {
      token,
      body: { to: 41, namespace: 'apps' },
    });
    const unpin = await bench.call('POST', '/api/v1/mappings/db/unpin', { token });
    expect([rollback.status, unpin.status]).toEqual([200, 200]);
    const by = { name: 'the-operator', address: '127.0.0.1' };
    expect(bench.asked).toEqual([
      { what: 'rollback db 41 apps', by, requestId: rollback.headers['x-request-id'] },
      { what: 'unpin db', by, requestId: unpin.headers['x-request-id'] },
    ]);
  });

  it.each([
    ['rollback', undefined],
    ['rollback', {}],
    ['rollback', { to: 0 }],
    ['rollback', { to: 1.5 }],
    ['rollback', { to: 'first' }],
    ['rollback', { to: 41, version: 3 }],
    ['rollback', [41]],
    ['unpin', { to: 41 }],
    ['unpin', { namespace: {} }],
  ])('%s takes no %j', async (what, body) => {
    await using bench = await openBench();
    const answer = await bench.call('POST', `/api/v1/mappings/db/${what}`, {
      token,
      ...(body === undefined ? {} : { body }),
    });
    expect(answer).toMatchObject({ status: 400, json: { code: 'INVALID_REQUEST' } });
    expect(bench.asked).toEqual([]);
  });

  it.each([
    ['RECORD_MISSING', 404],
    ['NOT_A_CHANGE', 409],
    ['VERSION_GONE', 409],
    ['ROLLBACK_AMBIGUOUS', 409],
    ['STORE_UNAVAILABLE', 503],
  ] as const)('%s is %d', async (code, status) => {
    const refuse = async () => {
      throw new AppError(code);
    };
    await using bench = await openBench({ service: { rollback: refuse } });
    const answer = await bench.call('POST', '/api/v1/mappings/db/rollback', { token, body: { to: 41 } });
    expect(answer).toMatchObject({ status, json: { code } });
  });

  it('of a mapping that is not there are 404', async () => {
    await using bench = await openBench();
    for (const [what, body] of [
      ['rollback', { to: 1 }],
      ['unpin', {}],
    ] as const)
      expect(await bench.call('POST', `/api/v1/mappings/other/${what}`, { token, body })).toMatchObject({
        status: 404,
        json: { code: 'NOT_FOUND' },
      });
  });
});
