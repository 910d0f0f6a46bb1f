import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { startTestServer, TOKENS } from './harness.ts';

describe('refused commands over HTTP', () => {
  it.each([
    ['/api/v1/mappings/db/sync', { note: 'sync db', mapping: 'db' }],
    ['/api/v1/mappings/db/rollback', { note: 'rollback db', mapping: 'db' }],
    ['/api/v1/mappings/db/unpin', { note: 'unpin db', mapping: 'db' }],
    ['/api/v1/held/5f2c9a01d3e4/release', { note: 'release 5f2c9a01d3e4' }],
    ['/api/v1/held/hunter2/release', { note: 'release' }],
    ['/api/v1/mappings/hunter2/sync', { note: 'sync' }],
    ['/api/v1/prune', { note: 'prune' }],
    ['/api/v1/audit/records/1/review', { note: 'audit review 1' }],
  ])('a POST to %s without the role is recorded as a refused command', async (url, command) => {
    await using api = await startTestServer();
    const { status, headers } = await api.call('POST', url, { token: TOKENS.viewer });
    expect(status).toBe(403);
    expect(await api.audit.list({}, { limit: 10 })).toEqual([
      expect.objectContaining({
        action: 'command',
        outcome: 'refused',
        code: 'FORBIDDEN',
        actor: { kind: 'operator', name: 'the-viewer', address: '127.0.0.1' },
        requestId: headers['x-request-id'],
        ...command,
      }),
    ]);
  });

  it('a command about an unknown mapping is recorded without the name, which may be a secret value', async () => {
    await using api = await startTestServer();
    expect((await api.call('POST', '/api/v1/mappings/hunter2/sync', { token: TOKENS.operator })).status).toBe(
      404,
    );
    const [record, ...others] = await api.audit.list({}, { limit: 10 });
    expect(others).toEqual([]);
    expect(record).toMatchObject({ note: 'sync', outcome: 'refused', code: 'NOT_FOUND' });
  });

  it('a failure that a retry may solve, and an invalid request, are no refusals', async () => {
    const unavailable = async () => Promise.reject(new AppError('QUEUE_UNAVAILABLE'));
    await using api = await startTestServer({ service: { sync: unavailable } });
    const token = TOKENS.operator;
    expect((await api.call('POST', '/api/v1/mappings/db/sync', { token })).status).toBe(503);
    const invalid = { token, body: '{"to":0}', headers: { 'content-type': 'application/json' } };
    expect((await api.call('POST', '/api/v1/mappings/db/rollback', invalid)).status).toBe(400);
    expect((await api.call('POST', '/api/v1/prune')).status).toBe(401);
    expect(await api.audit.list({}, { limit: 10 })).toEqual([]);
  });

  it('a person cannot fill the audit with refused commands', async () => {
    const clock = createManualTime();
    await using api = await startTestServer({ clock });
    const refuse = () => api.call('POST', '/api/v1/prune', { token: TOKENS.viewer });
    for (let time = 0; time < 50; time += 1) await refuse();
    expect(await api.audit.list({}, { limit: 100 })).toHaveLength(20);
    clock.set(clock.now() + 60_000);
    await refuse();
    const [last] = await api.audit.list({}, { limit: 1 });
    expect(last).toMatchObject({ sequence: 21, counts: { unrecorded: 30 } });
  });
});
