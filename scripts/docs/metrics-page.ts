import { METRICS, type MetricDefinition } from '../../src/metrics/names.ts';

/** `docs/reference/metrics.md`: one row for each metric. */
export function metricsPage(): string {
  const rows = Object.entries<MetricDefinition>(METRICS).map(([name, { type, labels, help }]) => {
    const shown = labels.length === 0 ? '' : labels.map((label) => `\`${label}\``).join(', ');
    return `| \`${name}\` | ${type} | ${shown} | ${help} |`;
  });
  return [
    '<!-- Made from src/metrics/names.ts by `npm run docs`. Change it there, or in scripts/docs/metrics-page.ts. -->',
    '# Metrics',
    '`GET /metrics` of a running service gives them in the text format of Prometheus. It needs a token only with `http.metricsNeedToken: true`. Times are in seconds, points in time in seconds since 1970.',
    ['| metric | type | labels | what it says |', '| --- | --- | --- | --- |', ...rows].join('\n'),
    AFTER,
    '',
  ].join('\n\n');
}

const AFTER = `\`outcome\` of a sync is a word of its summary: \`created\`, \`updated\`, \`deleted\`, \`unchanged\`, \`refused\`, \`held\`, \`failed\`.
\`outcome\` of a request to a store is \`ok\` or the [code](errors.md) of the error. No label ever holds the name of a key or of
a property, or a value.
\`outcome\` of an event is \`taken\`, \`unknown\` (nothing is made from its key), \`ignored\` (it tells of no change, or of another
store), \`malformed\` (not in a form that we know, or of a webhook about a store that is not its own), \`dropped\` (a malformed
one that came too often) or \`refused\` (not proved, too many, or they cannot be checked).

Counters and histograms begin at 0 with the process, and when it [opens anew](../how-to/change-configuration.md).

The metrics of Node and of the process (\`nodejs_…\`, \`process_…\`) are there as well.

## Several replicas

Each replica tells of the whole configuration: \`secretbridge_target_stale_seconds\`, \`secretbridge_target_errors\` and
\`secretbridge_held\` say nearly the same on all of them, so take the maximum. Counters count what the replica itself did, so
take the sum. When a target, a store or an intake of events leaves the configuration, all its series end.

## What to be woken for

| when | what it means |
| --- | --- |
| \`max(secretbridge_stalled) > 0\` | a loop stands still; the liveness probe restarts the process |
| \`max(secretbridge_target_stale_seconds) > 3600\` | a target has not been in step for an hour |
| \`min(secretbridge_audit_up) < 1\` | nothing is changed until the audit can be written |
| \`min(secretbridge_audit_chain_ok) < 1\` | the audit was tampered with or cut short |
| \`min(secretbridge_config_valid) < 1\` | the files were changed to something invalid; the last valid configuration is in force |
| \`min(secretbridge_intake_up) < 1\` | events are not fetched, so that changes wait for the next sweep |
| \`max(secretbridge_held) > 0\` | a change waits for a person |
| \`min(secretbridge_certificate_expiry_timestamp_seconds) - time() < 604800\` | a certificate in a target expires within a week |`;
