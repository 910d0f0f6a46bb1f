export interface MetricDefinition {
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /**
   * Labels contain names from the configuration. They never contain keys, properties or values, because other systems
   * store labels for a long time.
   */
  readonly labels: readonly Label[];
  /** Upper bounds of the buckets, in seconds. */
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
  | 'channel'
  | 'version';

const TARGET = ['mapping', 'namespace'] as const;

/** All metrics. Their names are part of the public contract. */
export const METRICS = {
  secretbridge_sync_total: {
    type: 'counter',
    labels: [...TARGET, 'outcome'],
    help: 'Syncs of targets by outcome',
  },
  secretbridge_sync_duration_seconds: {
    type: 'histogram',
    labels: [],
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    help: "Duration of a target's sync, including waits for its stores",
  },
  secretbridge_provider_requests_total: {
    type: 'counter',
    labels: ['store', 'operation', 'outcome'],
    help: 'Requests to a store, including logins, by outcome: ok, or the error code',
  },
  secretbridge_provider_request_duration_seconds: {
    type: 'histogram',
    labels: [],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    help: 'Duration of a request to a store',
  },
  secretbridge_cluster_writes_total: {
    type: 'counter',
    labels: ['verb'],
    help: 'Write requests to the cluster',
  },
  secretbridge_target_stale_seconds: {
    type: 'gauge',
    labels: TARGET,
    help: 'Time since a target last matched its sources; if it never did, since this process first saw the target',
  },
  secretbridge_target_errors: {
    type: 'gauge',
    labels: [...TARGET, 'code'],
    help: '1 while the target has this error',
  },
  secretbridge_target_waiting: {
    type: 'gauge',
    labels: TARGET,
    help: '1 while a change of the target waits for its window in `windows`',
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
  secretbridge_source_expiry_timestamp_seconds: {
    type: 'gauge',
    labels: TARGET,
    help: 'When the first source of the target expires, for stores that tell',
  },
  secretbridge_store_up: {
    type: 'gauge',
    labels: ['store'],
    help: '1 while the store answers, 0 while it is down',
  },
  secretbridge_breaker_open: {
    type: 'gauge',
    labels: ['store'],
    help: '1 while the circuit breaker of the store is open after repeated failures',
  },
  secretbridge_events_total: {
    type: 'counter',
    labels: ['intake', 'outcome'],
    help: 'Received events by intake and outcome',
  },
  secretbridge_intake_up: {
    type: 'gauge',
    labels: ['intake'],
    help: '1 while events can be fetched from a queue or stream, 0 after a failed attempt',
  },
  secretbridge_notifications_total: {
    type: 'counter',
    labels: ['channel', 'outcome'],
    help: 'Attempts to deliver a message by channel and outcome: ok, or failed',
  },
  secretbridge_sign_ins_total: {
    type: 'counter',
    labels: ['outcome'],
    help: 'Sign-ins of people by OIDC, by outcome: ok, refused, or failed because the provider did not answer',
  },
  secretbridge_held: { type: 'gauge', labels: [], help: 'Held changes that await a decision' },
  secretbridge_approvals: {
    type: 'gauge',
    labels: [],
    help: 'Requests that await the approval of a second person',
  },
  secretbridge_queue_jobs: {
    type: 'gauge',
    labels: ['state'],
    help: 'Jobs in the queue; no series while the queue cannot be reached',
  },
  secretbridge_audit_records_total: {
    type: 'counter',
    labels: [],
    help: 'Audit records added by this process',
  },
  secretbridge_audit_up: { type: 'gauge', labels: [], help: '1 while the audit is writable' },
  secretbridge_audit_chain_ok: {
    type: 'gauge',
    labels: [],
    help: '0 when the last verification found the audit chain damaged or truncated',
  },
  secretbridge_engine_up: {
    type: 'gauge',
    labels: [],
    help: '1 while the queue is healthy, 0 while it is degraded or down',
  },
  secretbridge_cluster_up: {
    type: 'gauge',
    labels: [],
    help: '1 while every watch of the cluster works',
  },
  secretbridge_last_cycle_timestamp_seconds: {
    type: 'gauge',
    labels: [],
    help: 'When this process last finished the check of a store',
  },
  secretbridge_config_valid: {
    type: 'gauge',
    labels: [],
    help: '0 while the configuration files are invalid and the last valid configuration stays in use, or an included file is broken',
  },
  secretbridge_stalled: {
    type: 'gauge',
    labels: ['loop'],
    help: '1 while a loop of this process has neither succeeded nor failed within its deadline',
  },
  secretbridge_build_info: {
    type: 'gauge',
    labels: ['version'],
    help: 'Always 1, with the version as a label',
  },
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof METRICS;

export type HistogramName = {
  [Name in MetricName]: (typeof METRICS)[Name]['type'] extends 'histogram' ? Name : never;
}[MetricName];
