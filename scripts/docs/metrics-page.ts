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
    '`GET /metrics` of a running service returns the metrics in the Prometheus text format. It needs a token only with `http.metricsNeedToken: true`. Durations are in seconds. Timestamps are in seconds since 1970.',
    ['| Metric | Type | Labels | Meaning |', '| --- | --- | --- | --- |', ...rows].join('\n'),
    AFTER,
    '',
  ].join('\n\n');
}

const AFTER = `- \`outcome\` of a sync is \`created\`, \`updated\`, \`deleted\`, \`unchanged\`, \`refused\`, \`held\` or \`failed\`.
- \`outcome\` of a request to a store is \`ok\` or the [code](errors.md) of the error.
- \`outcome\` of an event is one of these:
  - \`taken\`: the targets of its key are checked
  - \`unknown\`: no mapping uses its key
  - \`ignored\`: it reports no change, or is about another store
  - \`malformed\`: it has an unknown form, or names a store that its webhook does not cover
  - \`dropped\`: a malformed event beyond the allowed rate
  - \`refused\`: it has no valid proof, cannot be verified, or comes too often
- No label holds the name of a key or property, or a value.
- Counters and histograms begin at 0 with the process, and when the service [reopens](../how-to/change-configuration.md).
- The metrics of Node and of the process (\`nodejs_…\`, \`process_…\`) are included.

## Several replicas

Each replica reports the whole configuration: use the maximum of \`secretbridge_target_stale_seconds\`,
\`secretbridge_target_errors\` and \`secretbridge_held\`. Counters count the work of one replica: use the sum. If a
target, a store or an entry of \`events\` (label \`intake\`) leaves the configuration, all its series end.

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
