/** The values of each series in promtool notation, by the name and labels of the series. */
type Series = Readonly<Record<string, string>>;

export interface AlertCase {
  readonly alert: string;
  /** The evaluation time. Each series has one value per minute, starting at time 0. */
  readonly at: string;
  readonly fires: Series;
  /** The alerts that fire. */
  readonly expected: readonly { readonly labels: Series; readonly description: string }[];
  /** Sets of series for which the alert must not fire. */
  readonly quiet: readonly Series[];
}

const job = 'job="b"';
const series = (metric: string, labels = '') =>
  `${metric}{${[job, labels].filter((label) => label !== '').join(', ')}}`;
const target = 'mapping="db", namespace="pay"';
const inTarget = { job: 'b', mapping: 'db', namespace: 'pay' };
const DAY = 86_400;

/**
 * One case for each rule. It contains series that make the alert fire, the expected description, and series that must
 * not make the alert fire.
 */
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
    quiet: [{ [series('secretbridge_build_info', 'version="1"')]: '1x10' }],
  },
  {
    alert: 'SecretbridgeStalled',
    at: '5m',
    fires: {
      [series('secretbridge_stalled', 'loop="sweep", instance="1"')]: '0 1x5',
      [series('secretbridge_stalled', 'loop="sweep", instance="2"')]: '0x6',
    },
    expected: [
      {
        labels: { job: 'b', loop: 'sweep' },
        description:
          'The loop sweep has neither succeeded nor failed within its deadline, and a restart has not helped.',
      },
    ],
    quiet: [
      { [series('secretbridge_stalled', 'loop="sweep"')]: '0x6' },
      { [series('secretbridge_stalled', 'loop="sweep"')]: '0 0 0 0 1 1' },
    ],
  },
  {
    alert: 'SecretbridgeNoCycle',
    at: '2h',
    fires: {
      [series('secretbridge_last_cycle_timestamp_seconds', 'instance="1"')]: '60x120',
      [series('secretbridge_last_cycle_timestamp_seconds', 'instance="2"')]: '0x120',
    },
    expected: [{ labels: { job: 'b' }, description: 'The last check of a store ended 1h 59m 0s ago.' }],
    quiet: [
      // One of two processes still runs sync cycles.
      {
        [series('secretbridge_last_cycle_timestamp_seconds', 'instance="1"')]: '0+60x120',
        [series('secretbridge_last_cycle_timestamp_seconds', 'instance="2"')]: '0x120',
      },
      // No sync cycle has ended yet.
      { [series('secretbridge_build_info', 'version="1"')]: '1x120' },
    ],
  },
  {
    alert: 'SecretbridgeAuditDown',
    at: '10m',
    fires: { [series('secretbridge_audit_up')]: '1 1 0x10' },
    expected: [
      { labels: { job: 'b' }, description: 'No Secret is changed until the audit can be written again.' },
    ],
    quiet: [{ [series('secretbridge_audit_up')]: '1x10' }, { [series('secretbridge_audit_up')]: '1x6 0x4' }],
  },
  {
    alert: 'SecretbridgeAuditAltered',
    at: '3m',
    fires: {
      [series('secretbridge_audit_chain_ok', 'instance="1"')]: '1 1 1 0',
      [series('secretbridge_audit_chain_ok', 'instance="2"')]: '1x3',
    },
    expected: [
      {
        labels: { job: 'b' },
        description: 'The last verification found edited, removed or cut-off records.',
      },
    ],
    quiet: [{ [series('secretbridge_audit_chain_ok')]: '1x3' }],
  },
  {
    alert: 'SecretbridgeConfigInvalid',
    at: '10m',
    fires: { [series('secretbridge_config_valid')]: '1 0x10' },
    expected: [
      {
        labels: { job: 'b' },
        description: 'The last valid configuration stays in force. Later changes have no effect.',
      },
    ],
    quiet: [
      { [series('secretbridge_config_valid')]: '1x10' },
      { [series('secretbridge_config_valid')]: '0x6 1x4' },
    ],
  },
  {
    alert: 'SecretbridgeHeld',
    at: '2m',
    fires: {
      [series('secretbridge_held', 'instance="1"')]: '0 0 3',
      [series('secretbridge_held', 'instance="2"')]: '0 0 3',
    },
    expected: [
      {
        labels: { job: 'b' },
        description: '3 destructive changes are held until a person releases them or fixes their cause.',
      },
    ],
    quiet: [{ [series('secretbridge_held')]: '3 3 0' }],
  },
  {
    alert: 'SecretbridgeTargetStale',
    at: '5m',
    fires: {
      [series('secretbridge_target_stale_seconds', target)]: '3600 3660 3720 3780 3840 3900',
      [series('secretbridge_target_stale_seconds', 'mapping="well", namespace="pay"')]: '0+60x6',
    },
    expected: [{ labels: inTarget, description: 'db in pay has not been in sync for 1h 5m 0s.' }],
    quiet: [{ [series('secretbridge_target_stale_seconds', target)]: '3600x6' }],
  },
  {
    alert: 'SecretbridgeTargetFails',
    at: '20m',
    fires: { [series('secretbridge_target_errors', `${target}, code="NOT_OWNED"`)]: '1x20' },
    expected: [
      { labels: { ...inTarget, code: 'NOT_OWNED' }, description: 'db in pay fails with NOT_OWNED.' },
    ],
    quiet: [
      { [series('secretbridge_target_errors', `${target}, code="TIMEOUT"`)]: '1x8 stale' },
      { [series('secretbridge_target_errors', `${target}, code="TIMEOUT"`)]: '_x8 1x12' },
    ],
  },
  {
    alert: 'SecretbridgeStoreDown',
    at: '15m',
    fires: {
      [series('secretbridge_store_up', 'store="vault"')]: '1 0x15',
      [series('secretbridge_store_up', 'store="aws"')]: '1x15',
    },
    expected: [
      {
        labels: { job: 'b', store: 'vault' },
        description: 'The store vault is down. Its Secrets are not updated.',
      },
    ],
    quiet: [{ [series('secretbridge_store_up', 'store="vault"')]: '0 0 0 0 0 1 0x10' }],
  },
  {
    alert: 'SecretbridgeBreakerOpen',
    at: '15m',
    fires: { [series('secretbridge_breaker_open', 'store="vault"')]: '0 1x15' },
    expected: [
      {
        labels: { job: 'b', store: 'vault' },
        description:
          'The circuit breaker of the store vault is open. Single requests test whether the store answers.',
      },
    ],
    quiet: [{ [series('secretbridge_breaker_open', 'store="vault"')]: '1x5 0 1x9' }],
  },
  {
    alert: 'SecretbridgeSignInsRefused',
    at: '20m',
    fires: { [series('secretbridge_sign_ins_total', 'outcome="refused"')]: '0+1x20' },
    expected: [
      {
        labels: { job: 'b' },
        description: '15 sign-ins were refused in 15 minutes. Somebody may be trying to get in.',
      },
    ],
    quiet: [
      {
        [series('secretbridge_sign_ins_total', 'outcome="refused"')]: '0x10 3x10',
        [series('secretbridge_sign_ins_total', 'outcome="ok"')]: '0+10x20',
      },
    ],
  },
  {
    alert: 'SecretbridgeSignInsFail',
    at: '20m',
    fires: { [series('secretbridge_sign_ins_total', 'outcome="failed"')]: '0x5 1+1x15' },
    expected: [
      {
        labels: { job: 'b' },
        description: 'The OIDC provider gives no usable answer. Sessions and tokens work meanwhile.',
      },
    ],
    quiet: [{ [series('secretbridge_sign_ins_total', 'outcome="failed"')]: '5x20' }],
  },
  {
    alert: 'SecretbridgeThrottled',
    at: '20m',
    fires: {
      [series('secretbridge_provider_requests_total', 'store="aws", operation="read", outcome="THROTTLED"')]:
        '0+2x20',
    },
    expected: [
      {
        labels: { job: 'b', store: 'aws' },
        description: 'The store aws throttled 10 requests in 5 minutes, and not only once.',
      },
    ],
    quiet: [
      {
        [series(
          'secretbridge_provider_requests_total',
          'store="aws", operation="read", outcome="THROTTLED"',
        )]: '0+0.5x20',
        [series('secretbridge_provider_requests_total', 'store="aws", operation="read", outcome="ok"')]:
          '0+100x20',
      },
      // At the start of much work, the rate is too high for less than a second.
      {
        [series(
          'secretbridge_provider_requests_total',
          'store="aws", operation="read", outcome="THROTTLED"',
        )]: '0x13 40x6',
      },
    ],
  },
  {
    alert: 'SecretbridgeEventsAway',
    at: '20m',
    fires: {
      [series('secretbridge_intake_up', 'intake="eu"')]: '1 0x20',
      [series('secretbridge_intake_up', 'intake="us"')]: '1x20',
    },
    expected: [
      {
        labels: { job: 'b', intake: 'eu' },
        description: 'The intake eu fails. Changes wait for the next sweep.',
      },
    ],
    quiet: [{ [series('secretbridge_intake_up', 'intake="eu"')]: '1x5 0x10 1x9' }],
  },
  {
    alert: 'SecretbridgeQueueAway',
    at: '10m',
    fires: { [series('secretbridge_engine_up')]: '1 0x10' },
    expected: [
      {
        labels: { job: 'b' },
        description: 'Redis does not answer or is configured wrongly. Work waits and is not lost.',
      },
    ],
    quiet: [
      {
        [series('secretbridge_engine_up', 'instance="1"')]: '0x10',
        [series('secretbridge_engine_up', 'instance="2"')]: '1x10',
      },
    ],
  },
  {
    alert: 'SecretbridgeClusterAway',
    at: '10m',
    fires: { [series('secretbridge_cluster_up')]: '1 0x10' },
    expected: [
      {
        labels: { job: 'b' },
        description:
          'The API server does not answer, or rights are missing. Edits of Secrets are not noticed until the watch works again.',
      },
    ],
    quiet: [{ [series('secretbridge_cluster_up')]: '1x10' }],
  },
  {
    alert: 'SecretbridgeCertificateEnds',
    at: '1m',
    fires: {
      [series('secretbridge_certificate_expiry_timestamp_seconds', target)]: `${6 * DAY + 60}x1`,
    },
    expected: [{ labels: inTarget, description: 'The certificate of db in pay expires in 6d 0h 0m 0s.' }],
    quiet: [{ [series('secretbridge_certificate_expiry_timestamp_seconds', target)]: `${8 * DAY}x1` }],
  },
  {
    alert: 'SecretbridgeNotificationsFail',
    at: '25m',
    // Failed deliveries are tried again every five minutes at most.
    fires: {
      [series('secretbridge_notifications_total', 'channel="ops",outcome="failed"')]: '0 1x4 2x4 3x4 4x4 5x4',
    },
    expected: [
      {
        labels: { job: 'b', channel: 'ops' },
        description: 'The channel ops has failed 3 times in 15 minutes. Its messages are sent again.',
      },
    ],
    quiet: [
      {
        [series('secretbridge_notifications_total', 'channel="ops",outcome="failed"')]: '0x10 1x15',
        [series('secretbridge_notifications_total', 'channel="ops",outcome="ok"')]: '0+10x20',
      },
    ],
  },
  {
    alert: 'SecretbridgeSourceExpires',
    at: '1m',
    fires: {
      [series('secretbridge_source_expiry_timestamp_seconds', target)]: `${6 * DAY + 60}x1`,
    },
    expected: [{ labels: inTarget, description: 'A source of db in pay expires in 6d 0h 0m 0s.' }],
    quiet: [{ [series('secretbridge_source_expiry_timestamp_seconds', target)]: `${8 * DAY}x1` }],
  },
];
