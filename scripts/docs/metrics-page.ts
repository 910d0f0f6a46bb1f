import { METRICS, type MetricDefinition } from '../../src/telemetry/metric-names.ts';

/** Returns `docs/reference/metrics.md`: one row for each metric. */
export function metricsPage(): string {
  const rows = Object.entries<MetricDefinition>(METRICS).map(([name, { type, labels, help }]) => {
    const shown = labels.length === 0 ? '' : labels.map((label) => `\`${label}\``).join(', ');
    return `| \`${name}\` | ${type} | ${shown} | ${help} |`;
  });
  return [
    '<!-- Generated from src/telemetry/metric-names.ts by `npm run docs`. Change it there, or in scripts/docs/metrics-page.ts. -->',
    '# Metrics',
    '`GET /metrics` of a running service returns the metrics in the Prometheus text format. The request needs a token only with `http.metricsNeedToken: true`. Durations are in seconds. Timestamps are in seconds since 1970.',
    ['| Metric | Type | Labels | Meaning |', '| --- | --- | --- | --- |', ...rows].join('\n'),
    AFTER,
    '',
  ].join('\n\n');
}

const AFTER = `- \`outcome\` of a sync is \`created\`, \`updated\`, \`deleted\`, \`unchanged\`, \`refused\`, \`held\` or \`failed\`.
- \`outcome\` of a request to a store is \`ok\` or the [code](errors.md) of the error.
- \`outcome\` of an event is one of these:
  - \`taken\`: the targets that use the key of the event are checked
  - \`unknown\`: no mapping uses the key of the event
  - \`ignored\`: the event reports no change, or is about another store
  - \`malformed\`: the event has an unknown form, or names a store that is not in \`stores\` of its webhook
  - \`dropped\`: a malformed event beyond the allowed rate
  - \`refused\`: the signature, key or token of the event is wrong or cannot be checked, or too many events arrive
- No label holds the name of a key or property, or a value.
- Counters and histograms begin at 0 when the process starts, and when the service
  [reopens](../how-to/change-configuration.md) its parts.
- The metrics of Node and of the process (\`nodejs_…\`, \`process_…\`) are included.

## Several replicas

Each replica reports \`secretbridge_target_stale_seconds\`, \`secretbridge_target_errors\` and \`secretbridge_held\` for
all targets of the configuration, so use the maximum over all replicas. Each replica counts only its own work in
counters, so use the sum over all replicas. If a target, a store or an entry of \`events\` (label \`intake\`) leaves the
configuration, all series with its labels end.

## Conditions for alerts

| when | what it means |
| --- | --- |
| \`max(secretbridge_stalled) > 0\` | a loop hangs; the liveness probe restarts the process |
| \`max(secretbridge_target_stale_seconds) > 3600\` | a target has not been in sync for an hour |
| \`min(secretbridge_audit_up) < 1\` | the audit cannot be written, so nothing changes |
| \`min(secretbridge_audit_chain_ok) < 1\` | the audit was altered or cut off |
| \`min(secretbridge_config_valid) < 1\` | the files are invalid; the last valid configuration is in force |
| \`min(secretbridge_intake_up) < 1\` | events are not fetched, so changes wait for the next sweep |
| \`max(secretbridge_held) > 0\` | a change waits for a person |
| \`min(secretbridge_certificate_expiry_timestamp_seconds) - time() < 604800\` | a certificate in a target expires within a week |`;
