import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { createAuthenticator } from '../../src/http/auth.ts';
import type { Service, SyncAnswer } from '../../src/service/service.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { bare, entry, fingerprint } from '../audit/sample.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { held, type Method, startTestServer, target } from '../http/harness.ts';
import { openWorld } from '../reconcile/world.ts';
import { serve } from '../service/serving.ts';

// A person who is limited to the namespace `own` uses every route. All that concerns the other namespace contains the
// text `marker`.

const MARKER = /marker/i;
const OWN = { mapping: 'own', namespace: 'own', secret: 'own' };
const OTHER = { mapping: 'marker-m', namespace: 'marker-ns', secret: 'marker-s' };
const BOTH = { mapping: 'both', secret: 'both' };
const KEYS = { added: ['MARKER_KEY'], changed: [], removed: [] };
const SOURCE = { store: 'marker-store', key: 'marker/key', version: 'marker-version' };
const LIMITED = 'limited-5b1f0a77';
const ALL = 'all-91c2d3e4';

const auth = () =>
  createAuthenticator({
    tokens: [
      { name: 'lim', role: 'operator', namespaces: ['own'], token: SecretValue.fromText(LIMITED) },
      { name: 'all', role: 'operator', token: SecretValue.fromText(ALL) },
    ],
  });

const TARGETS = [
  target(OWN),
  target({ ...BOTH, namespace: 'own' }),
  target({ ...BOTH, namespace: 'marker-ns', message: 'marker' }),
  target({ ...OTHER, state: 'failed', message: 'marker' }),
];
const HELD = [held({ ...OWN, id: '0'.repeat(12) }), held({ ...OTHER, id: '1'.repeat(12) })];

const ofKey = (mapping: string, store: string, key: string) => ({
  ...{ mapping, refreshSeconds: 60, sources: [{ store, key }], searches: [] },
  targets: TARGETS.filter((one) => one.mapping === mapping),
});
const MAPPINGS = [
  ofKey('own', 'vault', 'own/key'),
  ofKey('both', 'vault', 'both/key'),
  ofKey('marker-m', 'marker-store', 'marker/key'),
];

const answer = (requestId: string): SyncAnswer => ({
  ...{ ok: true, requestId, summary: { updated: 2 }, targets: TARGETS, held: HELD, pending: 0 },
  warnings: TARGETS.map(({ mapping, namespace, secret }) => ({
    ...{ code: 'SOURCE_ABSENT', mapping, namespace, secret, message: `of ${mapping}` },
  })),
});

/** Answers everything to everybody, as the service does for a person with access to all namespaces. */
const SERVICE: Partial<Service> = {
  status: async () => ({
    ...{ instance: 'test', version: '1', replica: 'r', targets: TARGETS, held: HELD },
    engine: { kind: 'memory', state: 'up' },
    audit: { kind: 'sqlite', state: 'up', sequence: 7 },
    cluster: { kind: 'directory', state: 'up' },
    config: {
      valid: false,
      problems: [{ file: 'marker.yaml', message: 'marker' }],
      differing: [],
    },
    stores: ['vault', 'marker-store'].map((name) => ({
      ...{ name, kind: 'files', state: 'up', lastSuccess: null, breakerOpen: false, callsPerHour: 1 },
    })),
    events: [{ kind: 'webhook', name: 'marker-hook', state: 'up' }],
    warnings: [{ code: 'CHECKPOINTS_MISSING', message: 'marker' }],
    includes: [
      { path: 'marker.yaml', namespaces: ['marker-ns'], state: 'valid', problems: [] },
      { path: 'marker-both.yaml', namespaces: ['own', 'marker-ns'], state: 'valid', problems: [] },
      { path: 'marker-all.yaml', namespaces: ['**'], state: 'valid', problems: [] },
      { path: 'own.yaml', namespaces: ['own'], state: 'disabled', problems: [] },
    ],
    // What a later release adds.
    ...{ later: 'marker' },
  }),
  mappings: () => MAPPINGS,
  mapping: (name) => MAPPINGS.find(({ mapping }) => mapping === name),
  held: () => HELD,
  sync: async (_, __, id) => answer(id),
  rollback: async (_, __, ___, id) => answer(id),
  unpin: async (_, __, ___, id) => answer(id),
  async release(id, _, requestId) {
    if (id === HELD[0]?.id) return answer(requestId);
    throw new AppError('NOT_HELD', { detail: 'marker-ns/marker-s' });
  },
  plan: async () => ({ changes: 1, targets: ORPHANS }),
  orphans: async () => ({ changes: 2, ...skipped(), targets: ORPHANS, held: HELD }),
  prune: async (_, id) => ({ ...answer(id), ...skipped() }),
};
const ORPHANS = [OWN, OTHER].map((one) => ({ ...one, action: 'delete', keys: [] }));

const skipped = () => ({
  waiting: [
    { ...OTHER, until: { namespace: 'own', secret: 'own' } },
    { ...OWN, until: { namespace: 'marker-ns', secret: 'marker-s' } },
  ],
  unseen: ['namespace marker-ns', 'marker-ns/marker-s', 'own/own'].map((what) => ({ what, code: 'TIMEOUT' })),
});

async function openApi() {
  const audit = createMemoryAudit();
  await audit.append([
    entry({
      ...OWN,
      action: 'update',
      before: fingerprint(1),
      after: fingerprint(1),
      sources: [],
      keys: KEYS_OF_OWN,
    }),
    entry({ ...OTHER, action: 'update', after: fingerprint(99), sources: [SOURCE], keys: KEYS }),
    bare({
      action: 'read',
      store: 'marker-store',
      key: 'marker/key',
      after: fingerprint(99),
      sources: [SOURCE],
    }),
    bare({ action: 'command', actor: { kind: 'operator', name: 'marker' }, note: 'sync marker-m' }),
    bare({ action: 'review', review: { sequence: 2, state: 'flagged' }, note: 'marker' }),
    bare({ action: 'configure', note: 'marker' }),
    entry({
      ...OWN,
      action: 'refuse',
      outcome: 'refused',
      code: 'NOT_OWNED',
      sources: [],
      keys: KEYS_OF_OWN,
    }),
  ]);
  const clock = { now: () => 0 };
  const observe = async () => ({
    ...{ targets: TARGETS, stores: [], held: 2, loops: [] },
    ...{ engineUp: true, clusterUp: true, auditUp: true, chainOk: true, configValid: true },
  });
  const metrics = createMetrics({ version: '1', clock, observe, processMetrics: false });
  metrics.providerRequest({ store: 'marker-store', operation: 'read', outcome: 'ok', seconds: 1 });
  const config = { metricsNeedToken: true };
  return startTestServer({ service: SERVICE, audit, metrics, auth: auth(), config });
}
const KEYS_OF_OWN = { added: ['KEY'], changed: [], removed: [] };

/** Values for each parameter of a path. A route with another parameter fails the test. */
const PARAMETERS: Readonly<Record<string, readonly string[]>> = {
  name: ['own', 'both', 'marker-m'],
  id: HELD.map(({ id }) => id),
  sequence: ['1', '2', '3', '4', '5', '6', '7'],
};
const QUERIES = [
  '',
  '?format=csv',
  '?format=ocsf',
  '?namespace=marker-ns',
  '?mapping=marker-m',
  '?action=read',
  '?review=flagged',
  `?fingerprint=${fingerprint(99)}`,
  `?fingerprint=${fingerprint(99)}&trace=true`,
  '?state=open',
  '?namespace=marker-ns&secret=marker-s',
  '?namespace=own&secret=own',
  '?store=marker-store&key=marker/key',
  '?store=marker-store&key=marker/key&version=marker-version',
  '?store=marker-store',
  '?actor=marker',
  '?actor=ann',
  '?q=m',
  '?q=marker',
  '?q=o&limit=100',
  '?since=1970-01-01&until=2100-01-01&step=24000d',
  '?olderThan=1s',
  '?limit=1000',
];
const BODIES = [
  undefined,
  '{"state":"reviewed"}',
  '{"to":1}',
  '{"to":2}',
  '{"namespace":"marker-ns"}',
  '{"sequences":[1,7],"state":"reviewed"}',
  '{"sequences":[2],"state":"reviewed"}',
  '{"sequences":[1,3],"state":"flagged","note":"x"}',
  `{"ids":["${'1'.repeat(12)}"]}`,
];

function addressesOf(path: string): readonly string[] {
  const name = /\{(\w+)\}/.exec(path)?.[1];
  if (name === undefined) return [path];
  return (
    PARAMETERS[name]?.map((value) => path.replace(`{${name}}`, value)) ?? expect.fail(`unknown: ${path}`)
  );
}

describe('a person who is limited to some namespaces', () => {
  it('no route shows anything of another namespace', async () => {
    await using api = await openApi();
    const { paths } = (await api.get('/api/openapi.json', ALL)).json as {
      paths: Record<string, Record<string, { security?: readonly object[] }>>;
    };
    let shown = 0;
    for (const [path, methods] of Object.entries(paths)) {
      for (const [method, { security = [] }] of Object.entries(methods)) {
        if (!security.some((one) => 'bearer' in one) || path.startsWith('/events/')) continue;
        const variants = method === 'post' ? BODIES : QUERIES;
        for (const address of addressesOf(path))
          for (const variant of variants) {
            const [url, body] = method === 'post' ? [address, variant] : [`${address}${variant ?? ''}`];
            const headers = { 'content-type': 'application/json' };
            const options = { token: LIMITED, headers, ...(body === undefined ? {} : { body }) };
            const {
              status,
              text,
              headers: sent,
            } = await api.call(method.toUpperCase() as Method, url, options);
            expect(`${url} ${status} ${text} ${JSON.stringify(sent)}`.replaceAll(url, '')).not.toMatch(
              MARKER,
            );
            if (status === 200) shown += 1;
          }
      }
    }
    // The person sees their own part.
    expect(shown).toBeGreaterThan(40);
  });

  it('changes, timelines, searches, numbers and the review queue contain the own part', async () => {
    await using api = await openApi();
    const get = async (path: string, token = LIMITED) => (await api.get(`/api/v1/${path}`, token)).json;
    expect(await get('changes')).toMatchObject({ changes: [{ sequence: 7 }, { sequence: 1 }] });
    expect(await get('review')).toMatchObject({ causes: [{ sequences: [7], count: 1, namespaces: 1 }] });
    const series = 'series?since=2027-01-15&until=2027-01-15T23:00:00Z&step=1d';
    expect(await get(series)).toMatchObject({ changes: [0], refusals: [1] });
    expect(await get('timeline?namespace=marker-ns&secret=marker-s')).toEqual({
      ...{ changes: [], now: { targets: [], held: [] } },
    });
    const reach = 'reach?store=marker-store&key=marker/key&version=marker-version';
    expect(await get(reach)).toMatchObject({ now: [], held: [], others: [], more: false });
    expect(await get('search?q=marker')).toEqual({ results: [] });
    expect(await get('sources')).toEqual({ sources: [] });
    const graph = (await get('graph')).nodes as readonly { id: string }[];
    expect(graph.map(({ id }) => id).sort()).toEqual([
      ...['mapping:both', 'mapping:own', 'secret:own/both', 'secret:own/own', 'store:vault'],
    ]);
    // The same requests find more for a person with all namespaces.
    expect(await get('search?q=marker', ALL)).toMatchObject({
      results: expect.arrayContaining([expect.anything()]),
    });
    expect(await get('sources', ALL)).toMatchObject({ sources: [{ store: 'marker-store' }] });
  });

  it('a bulk review that names a record of another namespace reviews nothing', async () => {
    await using api = await openApi();
    const before = (await api.get('/api/v1/changes?action=review', ALL)).json;
    const answer = await api.call('POST', '/api/v1/review', {
      ...{ token: LIMITED, headers: { 'content-type': 'application/json' } },
      body: '{"sequences":[1,2],"state":"reviewed"}',
    });
    expect(answer).toMatchObject({ status: 404, json: { code: 'RECORD_MISSING' } });
    expect((await api.get('/api/v1/changes?action=review', ALL)).json).toEqual(before);
  });

  it.each([
    ['GET', '/api/v1/changes/2', 404],
    ['GET', '/api/v1/changes/3', 404],
    ['GET', '/api/v1/mappings/marker-m', 404],
    ['POST', '/api/v1/mappings/marker-m/sync', 404],
    ['POST', '/api/v1/mappings/marker-m/unpin', 404],
    ['GET', '/api/v1/audit/records/2', 404],
    ['GET', '/api/v1/audit/records/3', 404],
    ['POST', `/api/v1/held/${'1'.repeat(12)}/release`, 404],
    ['GET', '/api/v1/audit/verify', 403],
  ] as const)('%s %s has the status %i', async (method, url, status) => {
    await using api = await openApi();
    expect(await api.call(method, url, { token: LIMITED })).toMatchObject({ status });
    expect((await api.call(method, url, { token: ALL })).status).not.toBe(403);
  });

  it('lists and counts contain the own part', async () => {
    await using api = await openApi();
    const get = async (path: string) => (await api.get(path, LIMITED)).json;
    expect(await get('/api/v1/session')).toEqual({ name: 'lim', role: 'operator', namespaces: ['own'] });
    expect(await get('/api/v1/mappings')).toMatchObject({
      mappings: [{ mapping: 'both', targets: [{ namespace: 'own' }] }, { mapping: 'own' }],
    });
    expect(await get('/api/v1/status')).toMatchObject({
      includes: [{ path: 'own.yaml', state: 'disabled' }],
      stores: [{ name: 'vault' }],
      targets: [{ mapping: 'own' }, { mapping: 'both' }],
      held: [{ mapping: 'own' }],
    });
    expect(await get('/api/v1/audit/records')).toMatchObject({ records: [{ sequence: 7 }, { sequence: 1 }] });
    expect(await get(`/api/v1/audit/records?fingerprint=${fingerprint(99)}&trace=true`)).toMatchObject({
      ...{ records: [], versions: [] },
    });
    expect((await get('/api/v1/audit/records/7')).chain).toEqual({ head: 7, fits: true });
    expect(await get('/api/v1/prune')).toMatchObject({ changes: 1, unseen: [{ what: 'own/own' }] });
    expect(await get('/api/v1/plan?namespace=own')).toMatchObject({ targets: [{ namespace: 'own' }] });
    expect(await get('/api/v1/plan?namespace=other')).toEqual({ changes: 0, targets: [] });
    const { text } = await api.get('/api/v1/audit/export', LIMITED);
    expect(text.trim().split('\n')).toHaveLength(2);
    const metrics = (await api.get('/metrics', LIMITED)).text;
    expect(metrics).toContain('secretbridge_target_stale_seconds{mapping="own",namespace="own"}');
    expect(metrics).not.toContain('secretbridge_held');
  });
});

const MAPPING = (name: string, namespaces: string) => `
  - name: ${name}
    target: { namespaces: [${namespaces}] }
    data: { T: { store: vault, key: token } }`;

describe('a limited operator on the running service', () => {
  const LIM = { name: 'lim', mayUse: (namespace: string) => namespace === 'own' };

  it('syncs, rolls back and unpins the targets in the own namespaces only', async () => {
    const world = await openWorld({
      mappings: MAPPING('both', 'own, other'),
      cluster: { namespaces: ['own', 'other'] },
    });
    await world.sync();
    await using serving = await serve(world);
    const { service } = serving;
    const changed = world.records.find(({ action, namespace }) => action === 'create' && namespace === 'own');
    expect((await service.sync('both', LIM, 'r1'))?.targets).toMatchObject([{ namespace: 'own' }]);
    expect(
      (await service.rollback('both', { to: changed?.sequence ?? 0 }, LIM, 'r2'))?.targets,
    ).toMatchObject([{ namespace: 'own' }]);
    await expect(
      service.rollback('both', { to: changed?.sequence ?? 0, namespace: 'other' }, LIM, 'r3'),
    ).rejects.toMatchObject({ code: 'INVALID_REQUEST', message: expect.not.stringContaining(': other') });
    expect((await service.unpin('both', {}, LIM, 'r4'))?.targets).toMatchObject([{ namespace: 'own' }]);
    const pins = world.records.filter(({ action }) => action === 'rollback' || action === 'unpin');
    expect(pins.map(({ action, namespace }) => [action, namespace])).toEqual([
      ['rollback', 'own'],
      ['unpin', 'own'],
    ]);
  });

  it('prunes and releases in the own namespaces only', async () => {
    const world = await openWorld({
      mappings: MAPPING('both', 'own, other'),
      more: 'brake: { share: 1 }',
      cluster: { namespaces: ['own', 'other'] },
    });
    await world.sync();
    await world.configure(MAPPING('third', 'own'));
    await world.sync();
    await using serving = await serve(world);
    const { service } = serving;
    expect(await service.prune(LIM, 'r1')).toMatchObject({ targets: [{ namespace: 'own' }] });
    expect(world.cluster.raw({ namespace: 'own', secret: 'both' })).toBeUndefined();
    expect(world.cluster.raw({ namespace: 'other', secret: 'both' })).toBeDefined();
    await expect(service.release('0'.repeat(12), LIM, 'r2')).rejects.toMatchObject({ code: 'NOT_HELD' });
  });
});
