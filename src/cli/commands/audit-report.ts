import { openAuditReader } from '../../app/audit.ts';
import type { Action, EntrySource } from '../../audit/entry.ts';
import { report } from '../../audit/question/report.ts';
import type { SourceAge } from '../../audit/question/report-ages.ts';
import type { AuditStore } from '../../audit/store.ts';
import type { Config } from '../../config/config.ts';
import type { Mapping } from '../../core/mapping.ts';
import { searchesOf, sourcesOf } from '../../sync/desired.ts';
import { matching } from '../../sync/find.ts';
import { instant, refuseBackwards } from '../audit-question.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit.ts';
import { type AuditOptions, auditCredentials, openAuditForReading } from '../read-audit.ts';
import { requireConfig } from '../require-config.ts';
import { print } from '../texts/output.ts';
import { reportText } from '../texts/report.ts';

export interface ReportOptions extends AuditOptions {
  readonly since: string;
  readonly until?: string;
}

export async function auditReportCommand(context: Context, options: ReportOptions): Promise<number> {
  const now = context.clock.now();
  const since = instant(options.since, now);
  const until = options.until === undefined ? new Date(now).toISOString() : instant(options.until, now);
  refuseBackwards({ since, until });
  // A store that is only named has nobody who says how often its sources must change.
  const config = options.audit === undefined ? await requireConfig(context, options) : undefined;
  if (options.audit === undefined && config === undefined) return EXIT.config;
  await using audit =
    config === undefined
      ? await openAuditForReading(context, options)
      : await openAuditReader(config.audit.store, context.clock, auditCredentials(context, config));
  if (audit === undefined) return EXIT.config;
  const ages = config === undefined ? [] : await agesOf(config, audit);
  const found = await report(audit, { since, until, ages });
  print(context, options.output, { data: found, human: (paint) => reportText(found, paint) });
  return EXIT.ok;
}

async function agesOf(
  { mappings }: Config,
  audit: Pick<AuditStore, 'latest'>,
): Promise<readonly SourceAge[]> {
  const ages: SourceAge[] = [];
  for (const mapping of mappings) {
    const { maxAgeMs } = mapping;
    if (maxAgeMs === undefined) continue;
    const sources = [...sourcesOf(mapping), ...(await foundSources(mapping, audit))];
    ages.push(...sources.map(({ store, key }) => ({ store, key, maxAgeMs })));
  }
  return ages;
}

const WRITES: readonly Action[] = ['create', 'update', 'repair', 'adopt'];

/** What the searches of a mapping had found when one of its targets was last written: no store is asked here. */
async function foundSources(
  mapping: Mapping,
  audit: Pick<AuditStore, 'latest'>,
): Promise<readonly EntrySource[]> {
  const searches = searchesOf(mapping);
  if (searches.length === 0) return [];
  const written = await audit.latest({ mapping: mapping.name, outcome: 'ok', phase: 'outcome' }, WRITES);
  const isFound = ({ store, key, property }: EntrySource): boolean =>
    property === undefined && searches.some((it) => it.store === store && matching(it, [key]).length > 0);
  return written?.sources.filter(isFound) ?? [];
}
