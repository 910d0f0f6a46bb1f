import { openAuditReader } from '../../app/audit.ts';
import { report } from '../../audit/report.ts';
import type { SourceAge } from '../../audit/report-ages.ts';
import type { Config } from '../../config/config.ts';
import { sourcesOf } from '../../sync/desired.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit.ts';
import { instant } from '../instant.ts';
import { print } from '../output.ts';
import { type AuditOptions, auditCredentials, openAuditForReading } from '../read-audit.ts';
import { reportText } from '../report-text.ts';
import { requireConfig } from '../require-config.ts';

export interface ReportOptions extends AuditOptions {
  readonly since: string;
  readonly until?: string;
}

export async function auditReportCommand(context: Context, options: ReportOptions): Promise<number> {
  const now = context.clock.now();
  const since = instant(options.since, now);
  const until = options.until === undefined ? new Date(now).toISOString() : instant(options.until, now);
  // A store that is only named has nobody who says how often its sources must change.
  const config = options.audit === undefined ? await requireConfig(context, options) : undefined;
  if (options.audit === undefined && config === undefined) return EXIT.config;
  await using audit =
    config === undefined
      ? await openAuditForReading(context, options)
      : await openAuditReader(config.audit.store, context.clock, auditCredentials(context));
  if (audit === undefined) return EXIT.config;
  const found = await report(audit, { since, until, ages: config === undefined ? [] : agesOf(config) });
  print(context, options.output, { data: found, human: (paint) => reportText(found, paint) });
  return EXIT.ok;
}

function agesOf({ mappings }: Config): readonly SourceAge[] {
  return mappings.flatMap((mapping) => {
    const { maxAgeMs } = mapping;
    return maxAgeMs === undefined
      ? []
      : sourcesOf(mapping).map(({ store, key }) => ({ store, key, maxAgeMs }));
  });
}
