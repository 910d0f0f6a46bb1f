import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Clock } from '../core/clock.ts';
import type { ErrorCode } from '../core/error-codes.ts';
import { type HistogramName, METRICS, type MetricName } from './metric-names.ts';
import {
  createSeriesByName,
  createStaleness,
  ofNamespaces,
  type SeriesByName,
  type StalenessInput,
} from './series.ts';
import { KnownTargets, SyncCounter, TargetTime } from './target-series.ts';

interface TargetReading extends StalenessInput {
  /** The error code of the target's current error. */
  readonly code?: string;
}

/** The state of the service at the time of a scrape. */
export interface ServiceSnapshot {
  /** All configured targets. The series of all other targets are removed. */
  readonly targets: readonly TargetReading[];
  readonly stores: readonly {
    readonly name: string;
    readonly state: string;
    readonly breakerOpen: boolean;
  }[];
  readonly held: number;
  /** The open requests for approval. Undefined while the audit cannot be read. */
  readonly approvals?: number | undefined;
  /** Undefined while the queue is unreachable. */
  readonly queue?: Readonly<Record<'waiting' | 'active' | 'delayed', number>> | undefined;
  readonly engineUp: boolean;
  readonly clusterUp: boolean;
  readonly auditUp: boolean;
  readonly chainOk: boolean;
  readonly configValid: boolean;
  readonly loops: readonly { readonly name: string; readonly stalled: boolean }[];
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
  /** @param intake The name of the event source in the configuration. */
  event(intake: string, outcome: string, count?: number): void;
  intakeUp(intake: string, isUp: boolean): void;
  /** Removes the series of an event source that is no longer configured. */
  intakeRemoved(intake: string): void;
  signIn(outcome: 'ok' | 'refused' | 'failed'): void;
  /** @param channel The name of a channel of notifications. */
  notification(channel: string, outcome: 'ok' | 'failed'): void;
  clusterWrite(verb: string): void;
  auditRecords(count: number): void;
  lastCycle(ms: number): void;
  /** @param ms Undefined if the time of the last source change is unknown. */
  sourceChanged(mapping: string, namespace: string, ms: number | undefined): void;
  /** @param ms Undefined if the target no longer contains a certificate. */
  certificateExpiry(mapping: string, namespace: string, ms: number | undefined): void;
  /** @param ms Undefined if no source of the target expires. */
  sourceExpiry(mapping: string, namespace: string, ms: number | undefined): void;
  /**
   * @param isVisible Limits the output to the series with a label `namespace` whose value is visible.
   * @throws the errors of `observe`.
   */
  render(
    isVisible?: (namespace: string) => boolean,
  ): Promise<{ readonly contentType: string; readonly text: string }>;
}

export interface MetricsOptions {
  readonly version: string;
  readonly clock: Pick<Clock, 'now'>;
  observe(): Promise<ServiceSnapshot>;
  /**
   * Whether to add the metrics of Node and the process. These metrics need a garbage collection hook, which stays
   * active as long as the process runs.
   */
  readonly processMetrics?: boolean;
}

export function createMetrics({ version, clock, observe, processMetrics = true }: MetricsOptions): Metrics {
  const registry = new Registry();
  const instruments = createInstruments(registry);
  const { syncs, syncSeconds, requests, requestSeconds, events } = instruments;
  const { changed, expiry, sourceExpiry } = instruments;
  const targets = new KnownTargets([syncs, changed, expiry, sourceExpiry]);
  const setTime =
    (times: TargetTime) =>
    (mapping: string, namespace: string, ms: number | undefined): void =>
      times.setTime(targets.get(mapping, namespace), ms);
  instruments.buildInfo.set({ version }, 1);
  // Remove the initial series. Before the first cycle there must be no series, because the value 0 would mean the year
  // 1970.
  instruments.cycle.remove({});
  if (processMetrics) collectDefaultMetrics({ register: registry });
  const storeSeries = createSeriesByName(requests);
  const intakeSeries = createSeriesByName(events);
  const stalenessOf = createStaleness(clock);
  return {
    syncDone({ mapping, namespace, outcome, seconds }) {
      syncs.count(targets.get(mapping, namespace), outcome);
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
      instruments.intakeUp.remove({ intake });
    },
    intakeUp: (intake, isUp) => instruments.intakeUp.set({ intake }, Number(isUp)),
    signIn: (outcome) => instruments.signIns.inc({ outcome }),
    notification: (channel, outcome) => instruments.notifications.inc({ channel, outcome }),
    clusterWrite: (verb) => instruments.writes.inc({ verb }),
    auditRecords: (count) => instruments.records.inc(count),
    lastCycle: (ms) => instruments.cycle.set(ms / 1_000),
    sourceChanged: setTime(changed),
    certificateExpiry: setTime(expiry),
    sourceExpiry: setTime(sourceExpiry),
    async render(isVisible) {
      const snapshot = await observe();
      targets.retain(snapshot.targets);
      removeOthers(storeSeries, new Set(snapshot.stores.map(({ name }) => name)));
      setGauges(instruments, snapshot, stalenessOf(snapshot.targets));
      const text = await registry.metrics();
      return {
        contentType: registry.contentType,
        text: isVisible === undefined ? text : ofNamespaces(text, isVisible),
      };
    },
  };
}

/** Creates the metrics in the order of the documented list, which is also the order of the output. */
function createInstruments(registry: Registry) {
  const registers = [registry];
  const counter = (name: MetricName) => new Counter({ ...definitionOf(name), registers });
  const gauge = (name: MetricName) => new Gauge({ ...definitionOf(name), registers });
  const time = (name: MetricName) => new TargetTime({ ...definitionOf(name), registers });
  const histogram = (name: HistogramName) =>
    new Histogram({ ...definitionOf(name), buckets: [...METRICS[name].buckets], registers });
  return {
    syncs: new SyncCounter({ ...definitionOf('secretbridge_sync_total'), registers }),
    syncSeconds: histogram('secretbridge_sync_duration_seconds'),
    requests: counter('secretbridge_provider_requests_total'),
    requestSeconds: histogram('secretbridge_provider_request_duration_seconds'),
    writes: counter('secretbridge_cluster_writes_total'),
    stale: gauge('secretbridge_target_stale_seconds'),
    errors: gauge('secretbridge_target_errors'),
    waiting: gauge('secretbridge_target_waiting'),
    changed: time('secretbridge_source_changed_timestamp_seconds'),
    expiry: time('secretbridge_certificate_expiry_timestamp_seconds'),
    sourceExpiry: time('secretbridge_source_expiry_timestamp_seconds'),
    storeUp: gauge('secretbridge_store_up'),
    breakerOpen: gauge('secretbridge_breaker_open'),
    events: counter('secretbridge_events_total'),
    intakeUp: gauge('secretbridge_intake_up'),
    notifications: counter('secretbridge_notifications_total'),
    signIns: counter('secretbridge_sign_ins_total'),
    held: gauge('secretbridge_held'),
    approvals: gauge('secretbridge_approvals'),
    jobs: gauge('secretbridge_queue_jobs'),
    records: counter('secretbridge_audit_records_total'),
    auditUp: gauge('secretbridge_audit_up'),
    chainOk: gauge('secretbridge_audit_chain_ok'),
    engineUp: gauge('secretbridge_engine_up'),
    clusterUp: gauge('secretbridge_cluster_up'),
    cycle: gauge('secretbridge_last_cycle_timestamp_seconds'),
    configValid: gauge('secretbridge_config_valid'),
    stalled: gauge('secretbridge_stalled'),
    buildInfo: gauge('secretbridge_build_info'),
  };
}

type Instruments = ReturnType<typeof createInstruments>;

const WAITING: ErrorCode = 'OUTSIDE_WINDOW';

/** Updates the gauges synchronously, so that concurrent scrapes never see a partial update. */
function setGauges(
  gauges: Instruments,
  snapshot: ServiceSnapshot,
  staleSecondsOf: (target: StalenessInput) => number,
): void {
  const { stale, errors, storeUp, breakerOpen, jobs, stalled } = gauges;
  for (const metric of [stale, errors, gauges.waiting, storeUp, breakerOpen, jobs, stalled]) metric.reset();
  for (const target of snapshot.targets) {
    const { mapping, namespace, code } = target;
    stale.set({ mapping, namespace }, staleSecondsOf(target));
    // A change that waits for its window is no error.
    if (code === WAITING) gauges.waiting.set({ mapping, namespace }, 1);
    else if (code !== undefined) errors.set({ mapping, namespace, code }, 1);
  }
  for (const store of snapshot.stores) {
    storeUp.set({ store: store.name }, Number(store.state !== 'down'));
    breakerOpen.set({ store: store.name }, Number(store.breakerOpen));
  }
  // Omit healthy jobs. Every running job is a loop, so there can be as many loops as targets.
  for (const loop of snapshot.loops)
    if (loop.stalled || !loop.name.startsWith('job ')) stalled.set({ loop: loop.name }, Number(loop.stalled));
  const { waiting, active, delayed } = snapshot.queue ?? {};
  for (const [state, count] of Object.entries({ waiting, active, delayed }))
    if (count !== undefined) jobs.set({ state }, count);
  gauges.held.set(snapshot.held);
  if (snapshot.approvals !== undefined) gauges.approvals.set(snapshot.approvals);
  gauges.engineUp.set(Number(snapshot.engineUp));
  gauges.clusterUp.set(Number(snapshot.clusterUp));
  gauges.auditUp.set(Number(snapshot.auditUp));
  gauges.chainOk.set(Number(snapshot.chainOk));
  gauges.configValid.set(Number(snapshot.configValid));
}

function removeOthers(series: SeriesByName, keep: ReadonlySet<string>): void {
  for (const name of series.names()) if (!keep.has(name)) series.remove(name);
}

function definitionOf(name: MetricName) {
  return { name, help: METRICS[name].help, labelNames: [...METRICS[name].labels] as string[] };
}
