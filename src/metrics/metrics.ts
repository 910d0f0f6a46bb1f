import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Clock } from '../core/clock.ts';
import type { JobCounts } from '../queue/queue.ts';
import type { LoopState, StoreStatus, TargetStatus } from '../service/service.ts';
import { createAges } from './ages.ts';
import { type HistogramName, METRICS, type MetricName } from './names.ts';
import { createSeriesByName, type SeriesByName } from './series.ts';

/** How things stand when the metrics are asked for. */
export interface Observed {
  /** All that the configuration has; the series of any other end. */
  readonly targets: readonly TargetStatus[];
  readonly stores: readonly StoreStatus[];
  readonly held: number;
  /** Left out while the queue cannot be asked. */
  readonly queue?: JobCounts | undefined;
  readonly engineUp: boolean;
  readonly clusterUp: boolean;
  readonly auditUp: boolean;
  readonly chainOk: boolean;
  readonly configValid: boolean;
  readonly loops: readonly LoopState[];
}

export interface SyncDone {
  readonly mapping: string;
  readonly namespace: string;
  /** A word of the contract's summary: `created`, `updated`, … */
  readonly outcome: string;
  readonly seconds: number;
}

export interface ProviderRequest {
  readonly store: string;
  readonly operation: string;
  /** `ok`, or the code of the error. */
  readonly outcome: string;
  readonly seconds: number;
}

/** Counts what happens, and tells it in the text format of Prometheus. Times are in milliseconds since 1970. */
export interface Metrics {
  syncDone(done: SyncDone): void;
  providerRequest(request: ProviderRequest): void;
  /** @param intake By its name in the configuration. */
  event(intake: string, outcome: string, count?: number): void;
  intakeUp(intake: string, isUp: boolean): void;
  /** It left the configuration: its series end. */
  intakeGone(intake: string): void;
  clusterWrite(verb: string): void;
  auditRecords(count: number): void;
  lastCycle(ms: number): void;
  /** `undefined`: nothing tells when its sources were changed. */
  sourceChanged(mapping: string, namespace: string, ms: number | undefined): void;
  /** `undefined`: the target no longer holds a certificate. */
  certificateExpiry(mapping: string, namespace: string, ms: number | undefined): void;
  /** @throws what `observe` throws. */
  render(): Promise<{ readonly contentType: string; readonly text: string }>;
}

export interface MetricsOptions {
  readonly version: string;
  readonly clock: Pick<Clock, 'now'>;
  observe(): Promise<Observed>;
  /** Those of Node and of the process as well. They hook into the garbage collector for as long as it runs. */
  readonly ofProcess?: boolean;
}

export function createMetrics({ version, clock, observe, ofProcess = true }: MetricsOptions): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const counter = (name: MetricName) => new Counter({ ...textOf(name), registers });
  const gauge = (name: MetricName) => new Gauge({ ...textOf(name), registers });
  const histogram = (name: HistogramName) =>
    new Histogram({ ...textOf(name), buckets: [...METRICS[name].buckets], registers });

  // In the order of the contract, which is the order of the text.
  const syncs = counter('secretbridge_sync_total');
  const syncSeconds = histogram('secretbridge_sync_duration_seconds');
  const requests = counter('secretbridge_provider_requests_total');
  const requestSeconds = histogram('secretbridge_provider_request_duration_seconds');
  const writes = counter('secretbridge_cluster_writes_total');
  const stale = gauge('secretbridge_target_stale_seconds');
  const errors = gauge('secretbridge_target_errors');
  const changed = gauge('secretbridge_source_changed_timestamp_seconds');
  const expiry = gauge('secretbridge_certificate_expiry_timestamp_seconds');
  const storeUp = gauge('secretbridge_store_up');
  const breakerOpen = gauge('secretbridge_breaker_open');
  const events = counter('secretbridge_events_total');
  const intakeUp = gauge('secretbridge_intake_up');
  const held = gauge('secretbridge_held');
  const jobs = gauge('secretbridge_queue_jobs');
  const records = counter('secretbridge_audit_records_total');
  const auditUp = gauge('secretbridge_audit_up');
  const chainOk = gauge('secretbridge_audit_chain_ok');
  const engineUp = gauge('secretbridge_engine_up');
  const clusterUp = gauge('secretbridge_cluster_up');
  const cycle = gauge('secretbridge_last_cycle_timestamp_seconds');
  const configValid = gauge('secretbridge_config_valid');
  const stalled = gauge('secretbridge_stalled');
  gauge('secretbridge_build_info').set({ version }, 1);
  // Never and 1970 are not the same.
  cycle.remove({});
  if (ofProcess) collectDefaultMetrics({ register: registry });

  const ofTargets = {
    syncs: createSeriesByName(syncs),
    changed: createSeriesByName(changed),
    expiry: createSeriesByName(expiry),
  };
  const ofStores = createSeriesByName(requests);
  const ofIntakes = createSeriesByName(events);
  const agesOf = createAges(clock);

  /** In one go, so that two who ask at once do not see each other's half. */
  function take(seen: Observed): void {
    const targets = new Set(seen.targets.map(({ mapping, namespace }) => targetName(mapping, namespace)));
    const stores = new Set(seen.stores.map(({ name }) => name));
    for (const series of Object.values(ofTargets)) endOthers(series, targets);
    endOthers(ofStores, stores);
    for (const metric of [stale, errors, storeUp, breakerOpen, jobs, stalled]) metric.reset();
    const ageOf = agesOf(seen.targets);
    for (const target of seen.targets) {
      const { mapping, namespace, code } = target;
      stale.set({ mapping, namespace }, ageOf(target));
      if (code !== undefined) errors.set({ mapping, namespace, code }, 1);
    }
    for (const store of seen.stores) {
      storeUp.set({ store: store.name }, Number(store.state !== 'down'));
      breakerOpen.set({ store: store.name }, Number(store.breakerOpen));
    }
    // A job is one for as long as it runs, and there are as many as targets.
    for (const loop of seen.loops)
      if (loop.stalled || !loop.name.startsWith('job '))
        stalled.set({ loop: loop.name }, Number(loop.stalled));
    const { waiting, active, delayed } = seen.queue ?? {};
    for (const [state, count] of Object.entries({ waiting, active, delayed }))
      if (count !== undefined) jobs.set({ state }, count);
    held.set(seen.held);
    engineUp.set(Number(seen.engineUp));
    clusterUp.set(Number(seen.clusterUp));
    auditUp.set(Number(seen.auditUp));
    chainOk.set(Number(seen.chainOk));
    configValid.set(Number(seen.configValid));
  }

  return {
    syncDone({ mapping, namespace, outcome, seconds }) {
      const labels = { mapping, namespace, outcome };
      ofTargets.syncs.add(targetName(mapping, namespace), labels);
      syncs.inc(labels);
      syncSeconds.observe(seconds);
    },
    providerRequest({ store, operation, outcome, seconds }) {
      const labels = { store, operation, outcome };
      ofStores.add(store, labels);
      requests.inc(labels);
      requestSeconds.observe(seconds);
    },
    event(intake, outcome, count = 1) {
      ofIntakes.add(intake, { intake, outcome });
      events.inc({ intake, outcome }, count);
    },
    intakeGone(intake) {
      ofIntakes.end(intake);
      intakeUp.remove({ intake });
    },
    intakeUp: (intake, isUp) => intakeUp.set({ intake }, Number(isUp)),
    clusterWrite: (verb) => writes.inc({ verb }),
    auditRecords: (count) => records.inc(count),
    lastCycle: (ms) => cycle.set(ms / 1_000),
    sourceChanged(mapping, namespace, ms) {
      const name = targetName(mapping, namespace);
      if (ms === undefined) return ofTargets.changed.end(name);
      ofTargets.changed.add(name, { mapping, namespace });
      changed.set({ mapping, namespace }, ms / 1_000);
    },
    certificateExpiry(mapping, namespace, ms) {
      const name = targetName(mapping, namespace);
      if (ms === undefined) return ofTargets.expiry.end(name);
      ofTargets.expiry.add(name, { mapping, namespace });
      expiry.set({ mapping, namespace }, ms / 1_000);
    },
    async render() {
      take(await observe());
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  };
}

function targetName(mapping: string, namespace: string): string {
  return `${namespace}/${mapping}`;
}

function endOthers(series: SeriesByName, known: ReadonlySet<string>): void {
  for (const name of series.names()) if (!known.has(name)) series.end(name);
}

function textOf(name: MetricName) {
  return { name, help: METRICS[name].help, labelNames: [...METRICS[name].labels] as string[] };
}
