import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/core/error-codes.ts';
import { AppError } from '../../src/core/errors.ts';
import { heldByOthers } from '../../src/sync/merge-checks.ts';
import { type Answer, startTestServer, type TestServer, TOKENS } from './harness.ts';

type Role = keyof typeof TOKENS;

/** @param body A string is sent unchanged. If undefined, the request has no body. */
function order(api: TestServer, what: string, body?: unknown, role: Role = 'operator'): Promise<Answer> {
  return api.call('POST', `/api/v1/mappings/${what}`, {
    token: TOKENS[role],
    ...(body === undefined
      ? {}
      : {
          headers: { 'content-type': 'application/json' },
          body: typeof body === 'string' ? body : JSON.stringify(body),
        }),
  });
}

const REFUSED: readonly (readonly [string, unknown])[] = [
  ['rollback', undefined],
  ['rollback', 'null'],
  ['rollback', ''],
  ['rollback', '{"to":'],
  ['rollback', {}],
  ['rollback', { to: 0 }],
  ['rollback', { to: -3 }],
  ['rollback', { to: 1.5 }],
  ['rollback', { to: 'first' }],
  ['rollback', { to: null }],
  ['rollback', { to: [41] }],
  ['rollback', '{"to":1e300}'],
  ['rollback', '{"to":9007199254740993}'],
  ['rollback', { to: 41, namespace: '' }],
  ['rollback', { to: 41, namespace: null }],
  ['rollback', { to: 41, namespace: 'x'.repeat(64) }],
  ['rollback', { to: 41, version: 3 }],
  ['rollback', [41]],
  ['unpin', { to: 41 }],
  ['unpin', { namespace: {} }],
  ['unpin', []],
  ['unpin', '"apps"'],
];

const STATUSES = [
  ['RECORD_MISSING', 404],
  ['NOT_A_CHANGE', 409],
  ['NOT_PINNED', 409],
  ['VERSION_GONE', 409],
  ['ROLLBACK_AMBIGUOUS', 409],
  ['IMMUTABLE', 409],
  ['HELD', 409],
  ['NOT_OWNED', 409],
  ['STORE_UNAVAILABLE', 503],
  ['AUDIT_UNAVAILABLE', 503],
  ['CLUSTER_UNAVAILABLE', 503],
] as const;

describe('the rollback and unpin routes', () => {
  it("the rollback and unpin routes pass the caller and the response's request id to the service", async () => {
    await using api = await startTestServer();
    const rollback = await order(api, 'db/rollback', { to: 41, namespace: 'apps' });
    const unpin = await order(api, 'db/unpin');
    expect([rollback.status, unpin.status]).toEqual([200, 200]);
    const by = { name: 'the-operator', address: '127.0.0.1' };
    expect(api.calls).toEqual([
      { what: 'rollback db 41 apps', by, requestId: rollback.headers['x-request-id'] },
      { what: 'unpin db', by, requestId: unpin.headers['x-request-id'] },
    ]);
  });

  it('the rollback and unpin routes reject malformed bodies, but unpin needs no body', async () => {
    await using api = await startTestServer();
    for (const [what, body] of REFUSED) {
      const answer = await order(api, `db/${what}`, body);
      expect([what, body, answer.status, answer.json.code]).toEqual([what, body, 400, 'INVALID_REQUEST']);
    }
    expect(api.calls).toEqual([]);
    for (const body of [undefined, 'null', '{}'])
      expect(await order(api, 'db/unpin', body)).toMatchObject({ status: 200 });
  });

  it.each(['viewer', 'reviewer'] as const)(
    'the rollback and unpin routes reject a request from a %s',
    async (role) => {
      await using api = await startTestServer();
      for (const [what, body] of [
        ['rollback', { to: 41 }],
        ['unpin', undefined],
      ] as const)
        expect(await order(api, `db/${what}`, body, role)).toMatchObject({ status: 403 });
      expect(api.calls).toEqual([]);
    },
  );

  it('the rollback and unpin routes return the HTTP status that belongs to each error of the service', async () => {
    let code: ErrorCode = 'INTERNAL';
    const refuse = async () => {
      throw new AppError(code);
    };
    await using api = await startTestServer({ service: { rollback: refuse, unpin: refuse } });
    for (const [errorCode, status] of STATUSES) {
      code = errorCode;
      for (const [what, body] of [
        ['rollback', { to: 41 }],
        ['unpin', undefined],
      ] as const)
        expect(await order(api, `db/${what}`, body)).toMatchObject({ status, json: { code } });
    }
  });

  it('the rollback and unpin routes return 409 for a permanent refusal, even if its error code usually means a temporary refusal', async () => {
    const refuse = async () => {
      throw heldByOthers(['KEY']).withSubject('apps/db');
    };
    await using api = await startTestServer({ service: { rollback: refuse } });
    expect(await order(api, 'db/rollback', { to: 41 })).toMatchObject({
      status: 409,
      json: { code: 'CONFLICT', remedy: expect.stringContaining('have their owner release') },
    });
  });

  it('the rollback and unpin routes return 404 for an unknown mapping', async () => {
    await using api = await startTestServer();
    for (const [what, body] of [
      ['rollback', { to: 1 }],
      ['unpin', {}],
    ] as const)
      expect(await order(api, `other/${what}`, body)).toMatchObject({
        status: 404,
        json: { code: 'NOT_FOUND' },
      });
  });
});
