import { openAuditReader } from '../../app/audit.ts';
import type { Action, EntrySource } from '../../audit/entry.ts';
import { report } from '../../audit/query/report.ts';
import type { SourceMaxAge } from '../../audit/query/source-ages.ts';
import type { AuditStore } from '../../audit/store.ts';
import type { Config } from '../../config/config.ts';
import type { Mapping } from '../../core/mapping.ts';
import { searchesOf, sourcesOf } from '../../sync/desired.ts';
import { matching } from '../../sync/find.ts';
import { parseTimeOption, requireTimeOrder } from '../audit-question.ts';
import { type AuditOptions, auditCredentials, openAuditForReading } from '../audit-reader.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit.ts';
import { requireConfig } from '../require-config.ts';
import { auditReportText } from '../texts/audit-report.ts';
import { print } from '../texts/output.ts';

export interface ReportOptions extends AuditOptions {
  readonly since: string;
  readonly until?: string;
}

export async function auditReportCommand(context: Context, options: ReportOptions): Promise<number> {
  const now = context.clock.now();
  const since = parseTimeOption(options.since, now);
  const until =
    options.until === undefined ? new Date(now).toISOString() : parseTimeOption(options.until, now);
  requireTimeOrder({ since, until });
  // With `--audit`, no configuration is loaded, so `maxAge` is unknown.
  const config = options.audit === undefined ? await requireConfig(context, options) : undefined;
  if (options.audit === undefined && config === undefined) return EXIT.config;
  await using audit =
    config === undefined
      ? await openAuditForReading(context, options)
      : await openAuditReader(config.audit.store, context.clock, auditCredentials(context, config));
  if (audit === undefined) return EXIT.config;
  const ages = config === undefined ? [] : await agesOf(config, audit);
  const summary = await report(audit, { since, until, ages });
  print(context, options.output, { data: summary, human: (paint) => auditReportText(summary, paint) });
  return EXIT.ok;
}

async function agesOf(
  { mappings }: Config,
  audit: Pick<AuditStore, 'latest'>,
): Promise<readonly SourceMaxAge[]> {
  const ages: SourceMaxAge[] = [];
  for (const mapping of mappings) {
    const { maxAgeMs } = mapping;
    if (maxAgeMs === undefined) continue;
    const sources = [...sourcesOf(mapping), ...(await lastSearchResults(mapping, audit))];
    ages.push(...sources.map(({ store, key }) => ({ store, key, maxAgeMs })));
  }
  return ages;
}

const WRITES: readonly Action[] = ['create', 'update', 'repair', 'adopt'];

/**
 * Returns the keys that the searches of a mapping found at the last write of a target. They are read from the audit
 * log; no store is read.
 */
async function lastSearchResults(
  mapping: Mapping,
  audit: Pick<AuditStore, 'latest'>,
): Promise<readonly EntrySource[]> {
  const searches = searchesOf(mapping);
  if (searches.length === 0) return [];
  const written = await audit.latest({ mapping: mapping.name, outcome: 'ok', phase: 'outcome' }, WRITES);
  const isFound = ({ store, key, property }: EntrySource): boolean =>
    property === undefined &&
    searches.some((search) => search.store === store && matching(search, [key]).length > 0);
  return written?.sources.filter(isFound) ?? [];
}
