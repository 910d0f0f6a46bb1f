/** Series in the notation of promtool, by their name and labels. */
type Series = Readonly<Record<string, string>>;

export interface AlertCase {
  readonly alert: string;
  /** When it is looked at; series have a value each minute, and time begins at 0. */
  readonly at: string;
  readonly fires: Series;
  /** Of each alert that fires. */
  readonly expected: readonly { readonly labels: Series; readonly description: string }[];
  /** Each of these alone does not fire. */
  readonly quiet: readonly Series[];
}

const job = 'job="b"';
const of = (metric: string, labels = '') =>
  `${metric}{${[job, labels].filter((it) => it !== '').join(', ')}}`;
const target = 'mapping="db", namespace="pay"';
const inTarget = { job: 'b', mapping: 'db', namespace: 'pay' };
const DAY = 86_400;

/** One for each rule: when it fires, with what it says, and when it does not. */
export const ALERT_CASES: readonly AlertCase[] = [
  {
    alert: 'SecretbridgeDown',
    at: '10m',
    fires: { 'up{job="b"}': '0x10' },
    expected: [
      {
        labels: {},
        description:
          'No process of secretbridge reports metrics. Secrets are not updated until one runs again.',
      },
    ],
    quiet: [{ [of('secretbridge_build_info', 'version="1"')]: '1x10' }],
  },
  {
    alert: 'SecretbridgeStalled',
    at: '5m',
    fires: {
      [of('secretbridge_stalled', 'loop="sweep", instance="1"')]: '0 1x5',
      [of('secretbridge_stalled', 'loop="sweep", instance="2"')]: '0x6',
    },
    expected: [
      {
        labels: { job: 'b', loop: 'sweep' },
        description:
          'The loop sweep has neither succeeded nor failed within its deadline, and a restart has not helped.',
      },
    ],
    quiet: [
      { [of('secretbridge_stalled', 'loop="sweep"')]: '0x6' },
      { [of('secretbridge_stalled', 'loop="sweep"')]: '0 0 0 0 1 1' },
    ],
  },
  {
    alert: 'SecretbridgeNoCycle',
    at: '2h',
    fires: {
      [of('secretbridge_last_cycle_timestamp_seconds', 'instance="1"')]: '60x120',
      [of('secretbridge_last_cycle_timestamp_seconds', 'instance="2"')]: '0x120',
    },
    expected: [{ labels: { job: 'b' }, description: 'The last check of a store ended 1h 59m 0s ago.' }],
    quiet: [
      // One process of several goes on.
      {
        [of('secretbridge_last_cycle_timestamp_seconds', 'instance="1"')]: '0+60x120',
        [of('secretbridge_last_cycle_timestamp_seconds', 'instance="2"')]: '0x120',
      },
      // It has not ended one yet.
      { [of('secretbridge_build_info', 'version="1"')]: '1x120' },
    ],
  },
  {
    alert: 'SecretbridgeAuditDown',
    at: '10m',
    fires: { [of('secretbridge_audit_up')]: '1 1 0x10' },
    expected: [
      { labels: { job: 'b' }, description: 'No Secret is changed until the audit can be written again.' },
    ],
    quiet: [{ [of('secretbridge_audit_up')]: '1x10' }, { [of('secretbridge_audit_up')]: '1x6 0x4' }],
  },
  {
    alert: 'SecretbridgeAuditAltered',
    at: '3m',
    fires: {
      [of('secretbridge_audit_chain_ok', 'instance="1"')]: '1 1 1 0',
      [of('secretbridge_audit_chain_ok', 'instance="2"')]: '1x3',
    },
    expected: [
      {
        labels: { job: 'b' },
        description: 'The last verification found edited, removed or cut-off records.',
      },
    ],
    quiet: [{ [of('secretbridge_audit_chain_ok')]: '1x3' }],
  },
  {
    alert: 'SecretbridgeConfigInvalid',
    at: '10m',
    fires: { [of('secretbridge_config_valid')]: '1 0x10' },
    expected: [
      {
        labels: { job: 'b' },
        description: 'The last valid configuration stays in force. Later changes have no effect.',
      },
    ],
    quiet: [{ [of('secretbridge_config_valid')]: '1x10' }, { [of('secretbridge_config_valid')]: '0x6 1x4' }],
  },
  {
    alert: 'SecretbridgeHeld',
    at: '2m',
    fires: {
      [of('secretbridge_held', 'instance="1"')]: '0 0 3',
      [of('secretbridge_held', 'instance="2"')]: '0 0 3',
    },
    expected: [
      {
        labels: { job: 'b' },
        description: '3 destructive changes are held until a person releases them or fixes their cause.',
      },
    ],
    quiet: [{ [of('secretbridge_held')]: '3 3 0' }],
  },
  {
    alert: 'SecretbridgeTargetStale',
    at: '5m',
    fires: {
      [of('secretbridge_target_stale_seconds', target)]: '3600 3660 3720 3780 3840 3900',
      [of('secretbridge_target_stale_seconds', 'mapping="well", namespace="pay"')]: '0+60x6',
    },
    expected: [{ labels: inTarget, description: 'db in pay has not been in sync for 1h 5m 0s.' }],
    quiet: [{ [of('secretbridge_target_stale_seconds', target)]: '3600x6' }],
  },
  {
    alert: 'SecretbridgeTargetFails',
    at: '20m',
    fires: { [of('secretbridge_target_errors', `${target}, code="NOT_OWNED"`)]: '1x20' },
    expected: [
      { labels: { ...inTarget, code: 'NOT_OWNED' }, description: 'db in pay fails with NOT_OWNED.' },
    ],
    quiet: [
      { [of('secretbridge_target_errors', `${target}, code="TIMEOUT"`)]: '1x8 stale' },
      { [of('secretbridge_target_errors', `${target}, code="TIMEOUT"`)]: '_x8 1x12' },
    ],
  },
  {
    alert: 'SecretbridgeStoreDown',
    at: '15m',
    fires: {
      [of('secretbridge_store_up', 'store="vault"')]: '1 0x15',
      [of('secretbridge_store_up', 'store="aws"')]: '1x15',
    },
    expected: [
      {
        labels: { job: 'b', store: 'vault' },
        description: 'The store vault is down. Its Secrets are not updated.',
      },
    ],
    quiet: [{ [of('secretbridge_store_up', 'store="vault"')]: '0 0 0 0 0 1 0x10' }],
  },
  {
    alert: 'SecretbridgeBreakerOpen',
    at: '15m',
    fires: { [of('secretbridge_breaker_open', 'store="vault"')]: '0 1x15' },
    expected: [
      {
        labels: { job: 'b', store: 'vault' },
        description:
          'The circuit breaker of the store vault is open. Single requests test whether the store answers.',
      },
    ],
    quiet: [{ [of('secretbridge_breaker_open', 'store="vault"')]: '1x5 0 1x9' }],
  },
  {
    alert: 'SecretbridgeThrottled',
    at: '20m',
    fires: {
      [of('secretbridge_provider_requests_total', 'store="aws", operation="read", outcome="THROTTLED"')]:
        '0+2x20',
    },
    expected: [
      {
        labels: { job: 'b', store: 'aws' },
        description: 'The store aws throttled 30 requests in 15 minutes.',
      },
    ],
    quiet: [
      {
        [of('secretbridge_provider_requests_total', 'store="aws", operation="read", outcome="THROTTLED"')]:
          '0+0.5x20',
        [of('secretbridge_provider_requests_total', 'store="aws", operation="read", outcome="ok"')]:
          '0+100x20',
      },
    ],
  },
  {
    alert: 'SecretbridgeEventsAway',
    at: '20m',
    fires: {
      [of('secretbridge_intake_up', 'intake="eu"')]: '1 0x20',
      [of('secretbridge_intake_up', 'intake="us"')]: '1x20',
    },
    expected: [
      {
        labels: { job: 'b', intake: 'eu' },
        description: 'The intake eu fails. Changes wait for the next sweep.',
      },
    ],
    quiet: [{ [of('secretbridge_intake_up', 'intake="eu"')]: '1x5 0x10 1x9' }],
  },
  {
    alert: 'SecretbridgeQueueAway',
    at: '10m',
    fires: { [of('secretbridge_engine_up')]: '1 0x10' },
    expected: [
      {
        labels: { job: 'b' },
        description: 'Redis does not answer or is configured wrongly. Work waits and is not lost.',
      },
    ],
    quiet: [
      {
        [of('secretbridge_engine_up', 'instance="1"')]: '0x10',
        [of('secretbridge_engine_up', 'instance="2"')]: '1x10',
      },
    ],
  },
  {
    alert: 'SecretbridgeClusterAway',
    at: '10m',
    fires: { [of('secretbridge_cluster_up')]: '1 0x10' },
    expected: [
      {
        labels: { job: 'b' },
        description:
          'The API server does not answer, or rights are missing. Edits of Secrets are not noticed until the watch works again.',
      },
    ],
    quiet: [{ [of('secretbridge_cluster_up')]: '1x10' }],
  },
  {
    alert: 'SecretbridgeCertificateEnds',
    at: '1m',
    fires: {
      [of('secretbridge_certificate_expiry_timestamp_seconds', target)]: `${6 * DAY + 60}x1`,
    },
    expected: [{ labels: inTarget, description: 'The certificate of db in pay expires in 6d 0h 0m 0s.' }],
    quiet: [{ [of('secretbridge_certificate_expiry_timestamp_seconds', target)]: `${8 * DAY}x1` }],
  },
];
