import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Clock } from '../core/clock.ts';
import type { JobCounts } from '../queue/queue.ts';
import type { LoopState, StoreStatus, TargetStatus } from '../service/service.ts';
import { type HistogramName, METRICS, type MetricName } from './names.ts';
import { createSeriesByName, type SeriesByName } from './series.ts';
import { createStaleness } from './staleness.ts';

/** The state of the service at the time of a scrape. */
export interface ServiceSnapshot {
  /** All configured targets. The series of all other targets are removed. */
  readonly targets: readonly TargetStatus[];
  readonly stores: readonly StoreStatus[];
  readonly held: number;
  /** Undefined while the queue is unreachable. */
  readonly queue?: JobCounts | undefined;
  readonly engineUp: boolean;
  readonly clusterUp: boolean;
  readonly auditUp: boolean;
  readonly chainOk: boolean;
  readonly configValid: boolean;
  readonly loops: readonly LoopState[];
}

export interface SyncResult {
  readonly mapping: string;
  readonly namespace: string;
  /** An outcome from the summary of a sync: `created`, `updated`, … */
  readonly outcome: string;
  readonly seconds: number;
}

export interface ProviderRequest {
  readonly store: string;
  readonly operation: string;
  /** `ok`, or an error code. */
  readonly outcome: string;
  readonly seconds: number;
}

/** Collects metrics and returns them in the Prometheus text format. Times are in milliseconds since 1970. */
export interface Metrics {
  syncDone(result: SyncResult): void;
  providerRequest(request: ProviderRequest): void;
  /** @param intake The name of the intake in the configuration. */
  event(intake: string, outcome: string, count?: number): void;
  intakeUp(intake: string, isUp: boolean): void;
  /** Removes the series of an intake that is no longer configured. */
  intakeRemoved(intake: string): void;
  clusterWrite(verb: string): void;
  auditRecords(count: number): void;
  lastCycle(ms: number): void;
  /** @param ms Undefined if the time of the last source change is unknown. */
  sourceChanged(mapping: string, namespace: string, ms: number | undefined): void;
  /** @param ms Undefined if the target no longer contains a certificate. */
  certificateExpiry(mapping: string, namespace: string, ms: number | undefined): void;
  /** @throws the errors of `observe`. */
  render(): Promise<{ readonly contentType: string; readonly text: string }>;
}

export interface MetricsOptions {
  readonly version: string;
  readonly clock: Pick<Clock, 'now'>;
  observe(): Promise<ServiceSnapshot>;
  /**
   * Whether to add the metrics of Node and the process. They need a garbage collection hook, which stays active as long
   * as the process runs.
   */
  readonly processMetrics?: boolean;
}

export function createMetrics({ version, clock, observe, processMetrics = true }: MetricsOptions): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const counter = (name: MetricName) => new Counter({ ...definitionOf(name), registers });
  const gauge = (name: MetricName) => new Gauge({ ...definitionOf(name), registers });
  const histogram = (name: HistogramName) =>
    new Histogram({ ...definitionOf(name), buckets: [...METRICS[name].buckets], registers });

  // Keep the order of the documented list, which is also the order of the output.
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
  // Before the first cycle there must be no series: 0 would mean 1970.
  cycle.remove({});
  if (processMetrics) collectDefaultMetrics({ register: registry });

  const targetSeries = {
    syncs: createSeriesByName(syncs),
    changed: createSeriesByName(changed),
    expiry: createSeriesByName(expiry),
  };
  const storeSeries = createSeriesByName(requests);
  const intakeSeries = createSeriesByName(events);
  const stalenessOf = createStaleness(clock);

  /** Updates the gauges synchronously, so that concurrent scrapes never see a partial update. */
  function updateGauges(snapshot: ServiceSnapshot): void {
    const targets = new Set(snapshot.targets.map(({ mapping, namespace }) => targetName(mapping, namespace)));
    const stores = new Set(snapshot.stores.map(({ name }) => name));
    for (const series of Object.values(targetSeries)) removeOthers(series, targets);
    removeOthers(storeSeries, stores);
    for (const metric of [stale, errors, storeUp, breakerOpen, jobs, stalled]) metric.reset();
    const staleSecondsOf = stalenessOf(snapshot.targets);
    for (const target of snapshot.targets) {
      const { mapping, namespace, code } = target;
      stale.set({ mapping, namespace }, staleSecondsOf(target));
      if (code !== undefined) errors.set({ mapping, namespace, code }, 1);
    }
    for (const store of snapshot.stores) {
      storeUp.set({ store: store.name }, Number(store.state !== 'down'));
      breakerOpen.set({ store: store.name }, Number(store.breakerOpen));
    }
    // Skip healthy jobs. Every running job is a loop, so there can be as many loops as targets.
    for (const loop of snapshot.loops)
      if (loop.stalled || !loop.name.startsWith('job '))
        stalled.set({ loop: loop.name }, Number(loop.stalled));
    const { waiting, active, delayed } = snapshot.queue ?? {};
    for (const [state, count] of Object.entries({ waiting, active, delayed }))
      if (count !== undefined) jobs.set({ state }, count);
    held.set(snapshot.held);
    engineUp.set(Number(snapshot.engineUp));
    clusterUp.set(Number(snapshot.clusterUp));
    auditUp.set(Number(snapshot.auditUp));
    chainOk.set(Number(snapshot.chainOk));
    configValid.set(Number(snapshot.configValid));
  }

  return {
    syncDone({ mapping, namespace, outcome, seconds }) {
      const labels = { mapping, namespace, outcome };
      targetSeries.syncs.add(targetName(mapping, namespace), labels);
      syncs.inc(labels);
      syncSeconds.observe(seconds);
    },
    providerRequest({ store, operation, outcome, seconds }) {
      const labels = { store, operation, outcome };
      storeSeries.add(store, labels);
      requests.inc(labels);
      requestSeconds.observe(seconds);
    },
    event(intake, outcome, count = 1) {
      intakeSeries.add(intake, { intake, outcome });
      events.inc({ intake, outcome }, count);
    },
    intakeRemoved(intake) {
      intakeSeries.remove(intake);
      intakeUp.remove({ intake });
    },
    intakeUp: (intake, isUp) => intakeUp.set({ intake }, Number(isUp)),
    clusterWrite: (verb) => writes.inc({ verb }),
    auditRecords: (count) => records.inc(count),
    lastCycle: (ms) => cycle.set(ms / 1_000),
    sourceChanged(mapping, namespace, ms) {
      const name = targetName(mapping, namespace);
      if (ms === undefined) return targetSeries.changed.remove(name);
      targetSeries.changed.add(name, { mapping, namespace });
      changed.set({ mapping, namespace }, ms / 1_000);
    },
    certificateExpiry(mapping, namespace, ms) {
      const name = targetName(mapping, namespace);
      if (ms === undefined) return targetSeries.expiry.remove(name);
      targetSeries.expiry.add(name, { mapping, namespace });
      expiry.set({ mapping, namespace }, ms / 1_000);
    },
    async render() {
      updateGauges(await observe());
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  };
}

function targetName(mapping: string, namespace: string): string {
  return `${namespace}/${mapping}`;
}

function removeOthers(series: SeriesByName, keep: ReadonlySet<string>): void {
  for (const name of series.names()) if (!keep.has(name)) series.remove(name);
}

function definitionOf(name: MetricName) {
  return { name, help: METRICS[name].help, labelNames: [...METRICS[name].labels] as string[] };
}
