import { describe, expect, it } from 'vitest';
import type { StoreStatus, TargetStatus } from '../../src/service/service.ts';
import { METRICS } from '../../src/telemetry/metric-names.ts';
import { createMetrics, type ServiceSnapshot } from '../../src/telemetry/metrics.ts';
import { createManualTime } from '../fakes/manual-time.ts';

function target(part: Partial<TargetStatus> = {}): TargetStatus {
  const never = { lastSuccess: null, staleSeconds: null };
  return { mapping: 'db', namespace: 'shop', secret: 'db', state: 'synced', ...never, ...part };
}

function store(part: Partial<StoreStatus> = {}): StoreStatus {
  return { name: 'vault', kind: 'vault', state: 'up', lastSuccess: null, breakerOpen: false, ...part };
}

function open(first: Partial<ServiceSnapshot> = {}) {
  const world: { seen: ServiceSnapshot } = {
    seen: {
      targets: [target()],
      stores: [store()],
      held: 0,
      queue: { waiting: 1, active: 2, delayed: 3 },
      engineUp: true,
      clusterUp: true,
      auditUp: true,
      chainOk: true,
      configValid: true,
      loops: [],
      ...first,
    },
  };
  const clock = createManualTime();
  const observe = async () => world.seen;
  const metrics = createMetrics({ version: '1.2.3', clock, observe, processMetrics: false });
  /** Returns the lines of one metric with the name removed. */
  const lines = async (name: string) =>
    (await metrics.render()).text
      .split('\n')
      .filter((line) => line.startsWith(name) && /^[{ ]/.test(line.slice(name.length)))
      .map((line) => line.slice(name.length).trim());
  return {
    clock,
    metrics,
    lines,
    see: (part: Partial<ServiceSnapshot>) => {
      world.seen = { ...world.seen, ...part };
    },
  };
}

const FULL: Partial<ServiceSnapshot> = {
  targets: [target({ staleSeconds: 4, code: 'THROTTLED' })],
  loops: [{ name: 'queue', stalled: true }],
};

/** Metrics after every kind of event was recorded once. */
function withAllMetrics() {
  const world = open(FULL);
  const { metrics } = world;
  metrics.syncDone({ mapping: 'db', namespace: 'shop', outcome: 'updated', seconds: 0.2 });
  metrics.providerRequest({ store: 'vault', operation: 'read', outcome: 'ok', seconds: 0.02 });
  metrics.event('eu', 'taken', 2);
  metrics.intakeUp('eu', true);
  metrics.clusterWrite('create');
  metrics.signIn('ok');
  metrics.notification('ops', 'ok');
  metrics.auditRecords(3);
  metrics.lastCycle(1_800_000_000_500);
  metrics.sourceChanged('db', 'shop', 1_800_000_000_000);
  metrics.certificateExpiry('db', 'shop', 1_900_000_000_000);
  metrics.sourceExpiry('db', 'shop', 1_900_000_000_000);
  return world;
}

describe('the metrics', () => {
  it('the metrics have the documented names and labels', async () => {
    const { metrics, see } = withAllMetrics();
    see({ targets: [target({ code: 'THROTTLED' }), target({ mapping: 'web', code: 'OUTSIDE_WINDOW' })] });
    const { text } = await metrics.render();
    const labels = new Map<string, Set<string>>();
    for (const [, name = '', inner = ''] of text.matchAll(
      /^(secretbridge_\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? /gm,
    )) {
      const names = labels.get(name) ?? new Set();
      for (const [, label = ''] of inner.matchAll(/(\w+)="/g)) if (label !== 'le') names.add(label);
      labels.set(name, names);
    }
    const shown = [...labels].map(([name, set]) => `${name}{${[...set].join(',')}}`).sort();
    expect(shown).toEqual([
      'secretbridge_approvals{}',
      'secretbridge_audit_chain_ok{}',
      'secretbridge_audit_records_total{}',
      'secretbridge_audit_up{}',
      'secretbridge_breaker_open{store}',
      'secretbridge_build_info{version}',
      'secretbridge_certificate_expiry_timestamp_seconds{mapping,namespace}',
      'secretbridge_cluster_up{}',
      'secretbridge_cluster_writes_total{verb}',
      'secretbridge_config_valid{}',
      'secretbridge_engine_up{}',
      'secretbridge_events_total{intake,outcome}',
      'secretbridge_held{}',
      'secretbridge_intake_up{intake}',
      'secretbridge_last_cycle_timestamp_seconds{}',
      'secretbridge_notifications_total{channel,outcome}',
      'secretbridge_provider_request_duration_seconds{}',
      'secretbridge_provider_requests_total{store,operation,outcome}',
      'secretbridge_queue_jobs{state}',
      'secretbridge_sign_ins_total{outcome}',
      'secretbridge_source_changed_timestamp_seconds{mapping,namespace}',
      'secretbridge_source_expiry_timestamp_seconds{mapping,namespace}',
      'secretbridge_stalled{loop}',
      'secretbridge_store_up{store}',
      'secretbridge_sync_duration_seconds{}',
      'secretbridge_sync_total{mapping,namespace,outcome}',
      'secretbridge_target_errors{mapping,namespace,code}',
      'secretbridge_target_stale_seconds{mapping,namespace}',
      'secretbridge_target_waiting{mapping,namespace}',
    ]);
    expect([...labels.keys()].sort()).toEqual(Object.keys(METRICS).sort());
    for (const [name, { type }] of Object.entries(METRICS)) expect(text).toContain(`# TYPE ${name} ${type}`);
  });

  it('the metrics count events and measure durations in seconds', async () => {
    const { lines } = withAllMetrics();
    expect(await lines('secretbridge_sync_total')).toEqual([
      '{mapping="db",namespace="shop",outcome="updated"} 1',
    ]);
    expect(await lines('secretbridge_sync_duration_seconds_sum')).toEqual(['0.2']);
    expect(await lines('secretbridge_provider_requests_total')).toEqual([
      '{store="vault",operation="read",outcome="ok"} 1',
    ]);
    expect(await lines('secretbridge_cluster_writes_total')).toEqual(['{verb="create"} 1']);
    expect(await lines('secretbridge_audit_records_total')).toEqual(['3']);
    expect(await lines('secretbridge_last_cycle_timestamp_seconds')).toEqual(['1800000000.5']);
    expect(await lines('secretbridge_certificate_expiry_timestamp_seconds')).toEqual([
      '{mapping="db",namespace="shop"} 1900000000',
    ]);
    expect(await lines('secretbridge_build_info')).toEqual(['{version="1.2.3"} 1']);
  });

  it('the metrics show the current state', async () => {
    const { lines, see } = withAllMetrics();
    expect(await lines('secretbridge_target_stale_seconds')).toEqual(['{mapping="db",namespace="shop"} 4']);
    expect(await lines('secretbridge_queue_jobs')).toEqual([
      '{state="waiting"} 1',
      '{state="active"} 2',
      '{state="delayed"} 3',
    ]);
    see({
      engineUp: false,
      clusterUp: true,
      auditUp: false,
      chainOk: false,
      configValid: false,
      held: 2,
      stores: [store({ state: 'down', breakerOpen: true })],
    });
    for (const name of ['audit_up', 'audit_chain_ok', 'config_valid'])
      expect(await lines(`secretbridge_${name}`)).toEqual(['0']);
    expect(await lines('secretbridge_held')).toEqual(['2']);
    expect(await lines('secretbridge_store_up')).toEqual(['{store="vault"} 0']);
    expect(await lines('secretbridge_breaker_open')).toEqual(['{store="vault"} 1']);
  });

  it('the metrics report a degraded store as up', async () => {
    expect(await open({ stores: [store({ state: 'degraded' })] }).lines('secretbridge_store_up')).toEqual([
      '{store="vault"} 1',
    ]);
  });

  it('the metrics show only the current error code of a target', async () => {
    const { lines, see } = withAllMetrics();
    const errors = () => lines('secretbridge_target_errors');
    expect(await errors()).toEqual(['{mapping="db",namespace="shop",code="THROTTLED"} 1']);
    see({ targets: [target({ code: 'NOT_OWNED' })] });
    expect(await errors()).toEqual(['{mapping="db",namespace="shop",code="NOT_OWNED"} 1']);
    // A change that waits for its window is no error.
    see({ targets: [target({ code: 'OUTSIDE_WINDOW' })] });
    expect(await errors()).toEqual([]);
    expect(await lines('secretbridge_target_waiting')).toEqual(['{mapping="db",namespace="shop"} 1']);
    see({ targets: [target()] });
    expect(await errors()).toEqual([]);
  });

  it('the metrics contain no series for unknown values', async () => {
    const { lines } = open({ queue: undefined });
    expect(await lines('secretbridge_last_cycle_timestamp_seconds')).toEqual([]);
    expect(await lines('secretbridge_queue_jobs')).toEqual([]);
  });

  it('the metrics measure the staleness of a target from its first appearance if it has never synced', async () => {
    const { clock, lines, see } = open();
    const ages = () => lines('secretbridge_target_stale_seconds');
    const [name, other] = ['{mapping="db",namespace="shop"}', '{mapping="api",namespace="shop"}'];
    expect(await ages()).toEqual([`${name} 0`]);
    clock.set(clock.now() + 3_700_000);
    see({ targets: [target({ state: 'failed', code: 'NOT_OWNED' }), target({ mapping: 'api' })] });
    expect(await ages()).toEqual([`${name} 3700`, `${other} 0`]);
    see({ targets: [target({ staleSeconds: 2 })] });
    expect(await ages()).toEqual([`${name} 2`]);
    see({ targets: [target()] });
    expect(await ages()).toEqual([`${name} 0`]);
  });

  it('the metrics drop the expiry time of a removed certificate', async () => {
    const { metrics, lines } = withAllMetrics();
    metrics.certificateExpiry('db', 'shop', undefined);
    expect(await lines('secretbridge_certificate_expiry_timestamp_seconds')).toEqual([]);
  });

  it('the metrics drop the change time of a source if it is unknown', async () => {
    const { metrics, lines } = withAllMetrics();
    metrics.sourceChanged('db', 'shop', undefined);
    expect(await lines('secretbridge_source_changed_timestamp_seconds')).toEqual([]);
  });

  it('the metrics report a job only if the job is stalled', async () => {
    const { lines, see } = open();
    const job = (name: string, stalled: boolean) => ({
      name: `job ${name}`,
      ageMs: 1,
      deadlineMs: 2,
      stalled,
    });
    see({ loops: [job('target/apps/a', false), job('target/apps/b', true)] });
    expect(await lines('secretbridge_stalled')).toEqual(['{loop="job target/apps/b"} 1']);
  });

  it('the metrics drop all series of removed targets, stores and loops', async () => {
    const { metrics, lines, see } = withAllMetrics();
    metrics.syncDone({ mapping: 'db', namespace: 'shop', outcome: 'failed', seconds: 1 });
    metrics.syncDone({ mapping: 'db', namespace: 'other', outcome: 'updated', seconds: 1 });
    see({ targets: [target({ namespace: 'other' })], stores: [], loops: [] });
    const { text } = await metrics.render();
    expect(text).not.toMatch(/"shop"|"vault"|loop=/);
    expect(await lines('secretbridge_sync_total')).toEqual([
      '{mapping="db",namespace="other",outcome="updated"} 1',
    ]);
    // Counters without labels are never removed.
    expect(await lines('secretbridge_sync_duration_seconds_count')).toEqual(['3']);
  });

  it('the metrics drop all series of a removed event source', async () => {
    const { metrics, lines } = open();
    for (const outcome of ['taken', 'unknown', 'unknown']) metrics.event('eu', outcome);
    metrics.event('us', 'malformed');
    metrics.intakeUp('eu', true);
    metrics.intakeUp('us', false);
    expect(await lines('secretbridge_events_total')).toEqual([
      '{intake="eu",outcome="taken"} 1',
      '{intake="eu",outcome="unknown"} 2',
      '{intake="us",outcome="malformed"} 1',
    ]);
    metrics.intakeRemoved('eu');
    expect(await lines('secretbridge_events_total')).toEqual(['{intake="us",outcome="malformed"} 1']);
    expect(await lines('secretbridge_intake_up')).toEqual(['{intake="us"} 0']);
  });

  it('the metrics restart at zero for a target that is removed and added again', async () => {
    const { metrics, lines, see } = withAllMetrics();
    see({ targets: [] });
    await metrics.render();
    see({ targets: [target()] });
    metrics.syncDone({ mapping: 'db', namespace: 'shop', outcome: 'updated', seconds: 1 });
    expect(await lines('secretbridge_sync_total')).toEqual([
      '{mapping="db",namespace="shop",outcome="updated"} 1',
    ]);
  });

  it('the metrics are complete in concurrent scrapes', async () => {
    const { metrics } = withAllMetrics();
    const [first, second] = await Promise.all([metrics.render(), metrics.render()]);
    expect(first.text).toBe(second.text);
  });

  it('the metrics are separate for each registry and include process metrics', async () => {
    const metrics = createMetrics({
      version: '1',
      clock: createManualTime(),
      observe: async () => ({ ...EMPTY }),
    });
    withAllMetrics();
    const { text, contentType } = await metrics.render();
    expect(contentType).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(text).toContain('process_cpu_seconds_total');
    expect(text).toContain('nodejs_eventloop_lag_seconds');
    expect(text).toContain('secretbridge_audit_records_total 0');
  });
});

const EMPTY: ServiceSnapshot = {
  targets: [],
  stores: [],
  held: 0,
  engineUp: true,
  clusterUp: true,
  auditUp: true,
  chainOk: true,
  configValid: true,
  loops: [],
};
