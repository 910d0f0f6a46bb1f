/** A metric as it is published. What is no histogram and ends in `_total` is a counter. */
export interface MetricDefinition {
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** Names of ours only, never a key, a property or a value: labels are stored for long, and by others. */
  readonly labels: readonly Label[];
  /** Upper bounds in seconds. */
  readonly buckets?: readonly number[];
}

export type Label =
  | 'mapping'
  | 'namespace'
  | 'outcome'
  | 'store'
  | 'operation'
  | 'verb'
  | 'code'
  | 'state'
  | 'loop'
  | 'intake'
  | 'version';

const TARGET = ['mapping', 'namespace'] as const;

/** Every metric of ours: their names are a contract. */
export const METRICS = {
  secretbridge_sync_total: {
    type: 'counter',
    labels: [...TARGET, 'outcome'],
    help: 'Runs of a target, by what came of them',
  },
  secretbridge_sync_duration_seconds: {
    type: 'histogram',
    labels: [],
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    help: 'How long the run of a target took, waiting for its stores included',
  },
  secretbridge_provider_requests_total: {
    type: 'counter',
    labels: ['store', 'operation', 'outcome'],
    help: 'Requests to a store, logins included, by what came of them: ok, or the code of the error',
  },
  secretbridge_provider_request_duration_seconds: {
    type: 'histogram',
    labels: [],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    help: 'How long a request to a store took',
  },
  secretbridge_cluster_writes_total: {
    type: 'counter',
    labels: ['verb'],
    help: 'Requests to the cluster that write',
  },
  secretbridge_target_stale_seconds: {
    type: 'gauge',
    labels: TARGET,
    help: 'How long ago a target was last known to be what its sources say; if it never was, since when this process knows it',
  },
  secretbridge_target_errors: {
    type: 'gauge',
    labels: [...TARGET, 'code'],
    help: '1 while the target has this error',
  },
  secretbridge_source_changed_timestamp_seconds: {
    type: 'gauge',
    labels: TARGET,
    help: 'When a new version of a source of the target was last seen',
  },
  secretbridge_certificate_expiry_timestamp_seconds: {
    type: 'gauge',
    labels: TARGET,
    help: 'When the first certificate in the target expires',
  },
  secretbridge_store_up: {
    type: 'gauge',
    labels: ['store'],
    help: '1 while the store answers; 0 while it is down',
  },
  secretbridge_breaker_open: {
    type: 'gauge',
    labels: ['store'],
    help: '1 while the store is left alone because its last answers were failures',
  },
  secretbridge_events_total: {
    type: 'counter',
    labels: ['intake', 'outcome'],
    help: 'Events by the intake that they came by, and by what became of them',
  },
  secretbridge_intake_up: {
    type: 'gauge',
    labels: ['intake'],
    help: '1 while events are fetched from a queue or a stream; 0 while the last attempt has failed',
  },
  secretbridge_held: { type: 'gauge', labels: [], help: 'Changes that wait for a person' },
  secretbridge_queue_jobs: {
    type: 'gauge',
    labels: ['state'],
    help: 'Jobs in the queue; none while the queue cannot be asked',
  },
  secretbridge_audit_records_total: {
    type: 'counter',
    labels: [],
    help: 'Records that this process added to the audit',
  },
  secretbridge_audit_up: { type: 'gauge', labels: [], help: '1 while the audit can be written' },
  secretbridge_audit_chain_ok: {
    type: 'gauge',
    labels: [],
    help: '0 when the last proof found the chain of the audit broken or cut short',
  },
  secretbridge_engine_up: {
    type: 'gauge',
    labels: [],
    help: '1 while the queue works as it should, 0 while it is degraded or down',
  },
  secretbridge_cluster_up: {
    type: 'gauge',
    labels: [],
    help: '1 while every watch of the cluster works',
  },
  secretbridge_last_cycle_timestamp_seconds: {
    type: 'gauge',
    labels: [],
    help: 'When this process last ended the check of a store',
  },
  secretbridge_config_valid: {
    type: 'gauge',
    labels: [],
    help: '0 while the files of the configuration are invalid and the last valid ones are in force',
  },
  secretbridge_stalled: {
    type: 'gauge',
    labels: ['loop'],
    help: '1 while a loop of this process has neither succeeded nor failed within its deadline',
  },
  secretbridge_build_info: { type: 'gauge', labels: ['version'], help: '1, with the version as a label' },
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof METRICS;

export type HistogramName = {
  [Name in MetricName]: (typeof METRICS)[Name]['type'] extends 'histogram' ? Name : never;
}[MetricName];
