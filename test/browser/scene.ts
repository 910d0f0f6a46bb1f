import manifest from '../../package.json' with { type: 'json' };
import { type Entry, type EntrySource, NO_KEYS } from '../../src/audit/entry.ts';
import type { HeldStatus, MappingStatus, Status, TargetStatus } from '../../src/service/service.ts';
import type { Scene } from './site.ts';

export const print = (seed: string): string => `03c66e02:${seed.repeat(64).slice(0, 64)}`;

const VAULT: EntrySource = { store: 'team-vault', key: 'payments/db', property: 'password', version: '12' };
const AWS: EntrySource = {
  store: 'aws-prod',
  key: 'payments/api',
  version: '7e1f03a2-5d1c-4c1b-9d55-0f3c6f0c2b11',
};

export function entry(part: Partial<Entry>): Entry {
  return {
    actor: { kind: 'schedule' },
    requestId: '5b0f6a51-8a50-4c39-9c4e-9f2a1f0f6c01',
    action: 'read',
    outcome: 'ok',
    sources: [],
    keys: NO_KEYS,
    durationMs: 12,
    attempt: 1,
    ...part,
  };
}

export const request = (n: number): string => `c9c42967-b26d-41d7-aa38-${String(n).padStart(12, '0')}`;

/** An intent and its outcome. */
export function change(n: number, part: Partial<Entry>): readonly Entry[] {
  const both = { requestId: request(n), ...part };
  const { resourceVersion: _, code: __, ...intent } = both;
  return [
    entry({ ...intent, phase: 'intent', outcome: 'ok', durationMs: 0, resourceVersion: '88120' }),
    entry({ durationMs: 184, resourceVersion: '88131', ...both, phase: 'outcome' }),
  ];
}

export const ANN = { kind: 'operator', name: 'ann', address: '10.20.0.14' } as const;
const DB = { mapping: 'payments-db', namespace: 'payments', secret: 'payments-db' } as const;

const ENTRIES: readonly Entry[] = [
  entry({ actor: { kind: 'startup' }, action: 'configure', counts: { mappings: 4, stores: 3 } }),
  entry({
    store: 'team-vault',
    key: 'payments/db',
    action: 'read',
    sources: [VAULT],
    after: print('4b0f79b1a0'),
  }),
  entry({
    store: 'aws-prod',
    key: 'payments/api',
    action: 'read',
    sources: [AWS],
    after: print('77c1a0be52'),
  }),
  ...change(1, {
    ...{ ...DB, action: 'create', sources: [VAULT, AWS], after: print('a047cb0180') },
    keys: { added: ['API_KEY', 'DB_PASSWORD', 'DB_USER'], changed: [], removed: [] },
  }),
  ...change(2, {
    ...{ mapping: 'web-tls', namespace: 'edge', secret: 'web-tls', action: 'adopt', actor: ANN },
    keys: { added: [], changed: ['tls.crt', 'tls.key'], removed: ['old.pem'] },
  }),
  entry({
    ...{ action: 'refuse', outcome: 'refused', code: 'NOT_OWNED', requestId: request(3) },
    ...{ mapping: 'search', namespace: 'search', secret: 'elastic-credentials' },
  }),
  entry({ action: 'sweep', store: 'team-vault', counts: { checked: 412, changed: 0 }, durationMs: 940 }),
  ...change(4, {
    ...{
      ...DB,
      action: 'repair',
      actor: { kind: 'drift' },
      before: print('6cf5cfd64f'),
      after: print('a047cb0180'),
    },
    keys: { added: [], changed: ['DB_PASSWORD'], removed: [] },
  }),
  ...change(5, {
    ...{
      ...DB,
      action: 'update',
      actor: { kind: 'event', name: 'ci' },
      sources: [{ ...VAULT, version: '13' }, AWS],
    },
    ...{ before: print('a047cb0180'), after: print('de51f9aa04') },
    keys: { added: [], changed: ['DB_PASSWORD'], removed: [] },
  }),
  ...change(6, {
    ...{ mapping: 'billing', namespace: 'billing', secret: 'stripe', action: 'update', outcome: 'failed' },
    ...{ code: 'CLUSTER_FORBIDDEN', actor: { kind: 'schedule' }, sources: [AWS] },
    keys: { added: ['STRIPE_WEBHOOK'], changed: [], removed: [] },
    values: { STRIPE_WEBHOOK: print('5ca1ab1e00') },
  }),
  entry({
    ...{ action: 'read', outcome: 'failed', code: 'STORE_UNAVAILABLE', store: 'azure-prod', key: 'ca' },
    ...{ requestId: request(7), durationMs: 10_004, attempt: 4 },
  }),
  entry({
    ...{ action: 'hold', outcome: 'held', code: 'HELD', requestId: request(8) },
    ...{ mapping: 'legacy-jobs', namespace: 'batch', secret: 'legacy-jobs' },
    keys: { added: [], changed: [], removed: ['FTP_PASSWORD', 'FTP_USER', 'SMTP_PASSWORD'] },
  }),
  entry({ action: 'command', actor: ANN, requestId: request(9), note: 'sync payments-db' }),
  entry({
    ...{
      action: 'review',
      actor: { kind: 'operator', name: 'ravi', address: '10.20.0.31' },
      requestId: request(10),
    },
    ...{ review: { sequence: 5, state: 'reviewed' }, note: 'New service, ticket OPS-2210.' },
  }),
  entry({
    ...{
      action: 'review',
      actor: { kind: 'operator', name: 'ravi', address: '10.20.0.31' },
      requestId: request(11),
    },
    ...{ review: { sequence: 7, state: 'flagged' }, note: 'Who removed old.pem? Asked the edge team.' },
  }),
];

const ago = (minutes: number): string =>
  new Date(Date.UTC(2026, 10, 25, 8, 40) - minutes * 60_000).toISOString();

export function target(
  mapping: string,
  namespace: string,
  secret: string,
  part: Partial<TargetStatus> = {},
): TargetStatus {
  return { mapping, namespace, secret, state: 'synced', lastSuccess: ago(2), staleSeconds: 120, ...part };
}

const TARGETS: readonly TargetStatus[] = [
  target('payments-db', 'payments', 'payments-db'),
  target('payments-db', 'payments-staging', 'payments-db'),
  target('web-tls', 'edge', 'web-tls', {
    ...{ state: 'stale', lastSuccess: ago(74), staleSeconds: 4_440, code: 'STORE_UNAVAILABLE' },
    ...{
      message: 'store azure-prod: it did not answer',
      remedy: 'Nothing to do if it comes back; else look at the store.',
    },
  }),
  target('billing', 'billing', 'stripe', {
    ...{ state: 'failed', lastSuccess: ago(1_520), staleSeconds: 91_200, code: 'CLUSTER_FORBIDDEN' },
    ...{
      message: 'billing/stripe: the API server does not allow it',
      remedy: 'Apply what `secretbridge rbac` prints.',
    },
  }),
  target('search', 'search', 'elastic-credentials', {
    ...{ state: 'refused', code: 'NOT_OWNED', message: 'search/elastic-credentials: the Secret is not ours' },
    remedy: 'Set `onConflict: adopt` in the mapping, after `secretbridge plan` has shown what that removes.',
  }),
  target('legacy-jobs', 'batch', 'legacy-jobs', {
    ...{ state: 'held', code: 'HELD', message: 'batch/legacy-jobs: its deletion waits for a person' },
    remedy: 'Look at it and release it, or put the mapping back.',
  }),
  target('cache', 'shop', 'redis-auth', { state: 'pinned', pinned: 22 }),
  target('mailer', 'shop', 'mailer', { state: 'synced' }),
];

const HELD: readonly HeldStatus[] = [
  {
    ...{
      id: '5f2c9a01d3e4',
      mapping: 'legacy-jobs',
      namespace: 'batch',
      secret: 'legacy-jobs',
      action: 'delete',
    },
    keys: ['FTP_PASSWORD', 'FTP_USER', 'SMTP_PASSWORD'].map((name) => ({ name, action: 'remove' as const })),
  },
  {
    ...{ id: 'a90b11c27e55', mapping: 'mailer', namespace: 'shop', secret: 'mailer', action: 'update' },
    keys: [
      { name: 'SMTP_PASSWORD', action: 'remove' },
      { name: 'SMTP_HOST', action: 'keep' },
    ],
  },
];

export const STATUS: Status = {
  instance: 'prod-eu',
  version: manifest.version,
  replica: 'bridge-7c9f-x2',
  engine: { kind: 'redis', state: 'up' },
  audit: { kind: 'postgres', state: 'up', sequence: 48_213 },
  warnings: [],
  cluster: { kind: 'kubernetes', state: 'up' },
  config: { valid: true, problems: [], differing: [] },
  includes: [],
  stores: [
    { name: 'aws-prod', kind: 'aws-secrets-manager', state: 'up', lastSuccess: ago(1), breakerOpen: false },
    {
      ...{ name: 'azure-prod', kind: 'azure-key-vault', state: 'down', lastSuccess: ago(74) },
      ...{ code: 'STORE_UNAVAILABLE', breakerOpen: true },
    },
    { name: 'team-vault', kind: 'vault', state: 'up', lastSuccess: ago(1), breakerOpen: false },
  ],
  events: [
    { kind: 'sqs', name: 'eu', state: 'up', lastEvent: ago(3) },
    { kind: 'webhook', name: 'ci', state: 'up' },
  ],
  targets: TARGETS,
  held: HELD,
};

export function mappingsOf(targets: readonly TargetStatus[]): readonly MappingStatus[] {
  const names = [...new Set(targets.map(({ mapping }) => mapping))].sort();
  return names.map((mapping) => ({
    mapping,
    refreshSeconds: 600,
    sources: [
      { store: 'team-vault', key: `${mapping}/db` },
      { store: 'aws-prod', key: `${mapping}/api` },
    ],
    searches: [{ store: 'team-vault', path: `features/${mapping}/`, name: '^flag-' }],
    targets: targets.filter((one) => one.mapping === mapping),
  }));
}

/** A scene with at least one target in every state. */
export function typical(): Scene {
  return { status: STATUS, mappings: mappingsOf(TARGETS), entries: ENTRIES };
}
