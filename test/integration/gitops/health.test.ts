import { beforeAll, describe, expect, it } from 'vitest';
import { SYNC_STATES } from '../../../src/core/words.ts';
import { observedText } from '../../../src/service/config-map-status.ts';
import { argoHealths, fluxHealths, type Health } from '../services/gitops-health.ts';

// Evaluates the health checks in `deploy/gitops` for each state of a ConfigMap: with the code of Flux, and with the Lua
// library of Argo CD.

const PREFIX = 'status.secretbridge.dev/';
const MAPPINGS = 'mappings:\n  - name: db\n';

interface Case {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly data?: Readonly<Record<string, string>>;
}

/** The annotations that the service writes. */
function status(state: string, more: { readonly code?: string; readonly of?: string } = {}): Case {
  const { code, of = MAPPINGS } = more;
  return {
    annotations: {
      [`${PREFIX}state`]: state,
      ...(code === undefined ? {} : { [`${PREFIX}code`]: code }),
      [`${PREFIX}message`]: `about ${state}`,
      [`${PREFIX}observed`]: observedText(of),
      [`${PREFIX}instance`]: 'prod',
    },
    data: { 'mappings.yaml': of },
  };
}

const long = `${MAPPINGS}# ${'ü'.repeat(40_000)}`;
const edited = { 'mappings.yaml': `${MAPPINGS}  - name: web\n` };

/** Argo CD, Flux. */
const CASES: Readonly<Record<string, readonly [Case, argo: string, flux: string]>> = {
  synced: [status('synced'), 'Healthy', 'Current'],
  pinned: [status('pinned'), 'Suspended', 'Current'],
  waiting: [status('waiting'), 'Progressing', 'InProgress'],
  'waiting for a window': [status('waiting', { code: 'OUTSIDE_WINDOW' }), 'Suspended', 'InProgress'],
  'waiting for an approval': [status('refused', { code: 'APPROVAL_NEEDED' }), 'Suspended', 'InProgress'],
  held: [status('held', { code: 'HELD' }), 'Suspended', 'InProgress'],
  refused: [status('refused', { code: 'NOT_OWNED' }), 'Degraded', 'Failed'],
  failed: [status('failed', { code: 'TEMPLATE_FAILED' }), 'Degraded', 'Failed'],
  stale: [status('stale', { code: 'STORE_UNAVAILABLE' }), 'Degraded', 'Failed'],
  contested: [status('contested', { code: 'CONTESTED' }), 'Degraded', 'Failed'],
  drifted: [status('drifted'), 'Degraded', 'Failed'],
  invalid: [status('invalid', { code: 'CONFIG_INVALID' }), 'Degraded', 'Failed'],
  'invalid, without the key': [
    { ...status('invalid', { code: 'CONFIG_INVALID', of: '' }), data: { other: 'x' } },
    'Degraded',
    'Failed',
  ],
  'long mappings': [status('synced', { of: long }), 'Healthy', 'Current'],
  'long mappings, refused': [status('refused', { of: long }), 'Degraded', 'Failed'],
  'long mappings that were edited': [
    { ...status('synced', { of: long }), data: { 'mappings.yaml': `${long}.` } },
    'Progressing',
    'InProgress',
  ],
  'synced before an edit': [{ ...status('synced'), data: edited }, 'Progressing', 'InProgress'],
  'refused before an edit': [{ ...status('refused'), data: edited }, 'Progressing', 'InProgress'],
  'no annotations': [{ data: edited }, 'Progressing', 'InProgress'],
  'only other annotations': [{ annotations: { a: 'b' }, data: edited }, 'Progressing', 'InProgress'],
  'without `observed`': [
    { annotations: { [`${PREFIX}state`]: 'synced' }, data: edited },
    'Progressing',
    'InProgress',
  ],
  'an unknown state': [status('from-a-newer-version'), 'Unknown', 'InProgress'],
  'not a state': [status('{"state":"synced"}'), 'Unknown', 'InProgress'],
  'another ConfigMap': [{ labels: { app: 'web' }, data: { a: 'b' } }, 'Healthy', 'Current'],
  'another ConfigMap with our annotations': [{ ...status('failed'), labels: {} }, 'Healthy', 'Current'],
};

const objectOf = ({ labels = { 'secretbridge.dev/mappings': 'true' }, annotations, data }: Case) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'app', namespace: 'shop', labels, ...(annotations && { annotations }) },
  ...(data && { data }),
});
const bare = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'bare', namespace: 'shop' } };
const OBJECTS = {
  ...Object.fromEntries(Object.entries(CASES).map(([name, [each]]) => [name, objectOf(each)])),
  bare,
};
const names = Object.keys(CASES);

describe.each([
  ['Argo CD', argoHealths, 1],
  ['Flux', fluxHealths, 2],
] as const)('the health of a ConfigMap in %s', (_, healthsOf, column) => {
  let healths: ReadonlyMap<string, Health>;

  beforeAll(async () => {
    const all = await healthsOf(Object.values(OBJECTS));
    healths = new Map(Object.keys(OBJECTS).map((name, index) => [name, all[index] ?? {}]));
  }, 1_200_000);

  it.each(names)('%s', (name) => {
    expect(healths.get(name)?.error).toBeUndefined();
    expect(healths.get(name)?.status).toBe(CASES[name]?.[column]);
  });

  it('a ConfigMap without labels and data is healthy', () => {
    expect(healths.get('bare')?.status).toBe(column === 1 ? 'Healthy' : 'Current');
  });
});

describe('the health checks', () => {
  it('show the message in Argo CD', async () => {
    const [refused, unanswered] = await argoHealths(
      ['refused', 'no annotations'].map((name) => OBJECTS[name as keyof typeof OBJECTS]),
    );
    expect(refused?.message).toBe('about refused');
    expect(unanswered?.message).toContain('has not answered');
  });

  it('make Flux wait, which it would not do without them', async () => {
    expect(new Set((await fluxHealths(Object.values(OBJECTS))).map(({ plain }) => plain))).toEqual(
      new Set(['Current']),
    );
  });

  it('have a case for each state', () => {
    expect(names).toEqual(expect.arrayContaining([...SYNC_STATES, 'invalid']));
  });
});

describe('the Job that asks the service', () => {
  const job = (status: object) => ({
    ...{ apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'j', namespace: 'shop' }, spec: {} },
    status,
  });
  const condition = (type: string) => ({
    ...{ startTime: '2027-01-15T08:00:00Z', conditions: [{ type, status: 'True', reason: '', message: '' }] },
  });

  it('makes Flux wait for its end', async () => {
    const running = job({ startTime: '2027-01-15T08:00:00Z', active: 1 });
    const objects = [running, job(condition('Complete')), job(condition('Failed'))];
    expect((await fluxHealths(objects)).map(({ status }) => status)).toEqual([
      'InProgress',
      'Current',
      'Failed',
    ]);
  });
});
