import type { Command } from 'commander';
import { openAuditReader } from '../../app/audit.ts';
import type { Action, EntrySource } from '../../audit/entry.ts';
import {
  type BoundedList,
  type ChangedTarget,
  type Report,
  type ReportedFailure,
  report,
} from '../../audit/query/report.ts';
import type { SourceMaxAge } from '../../audit/query/source-ages.ts';
import type { AuditStore } from '../../audit/store.ts';
import type { Config } from '../../config/config.ts';
import { append } from '../../core/lists.ts';
import type { Mapping } from '../../core/mapping.ts';
import { searchesOf, sourcesOf } from '../../sync/desired.ts';
import { matching } from '../../sync/find.ts';
import { parseTimeOption, requireTimeOrder, withAuditOption } from '../audit-options.ts';
import { type AuditOptions, auditCredentials, openAuditForReading } from '../audit-reader.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../errors.ts';
import { command, type Run } from '../options.ts';
import { safeText } from '../service/error.ts';
import { count, type Paint, print, shortFingerprint } from '../texts/output.ts';
import { changedKeys, timeText } from '../texts/record.ts';
import { requireCompleteConfig } from '../with-app.ts';

export function addReport(audit: Command, context: Context, run: Run): void {
  const report = command(audit, 'report', 'Summarize what happened, for a mail or a chat message.', {
    examples: [
      'secretbridge audit report --since 7d',
      "secretbridge audit report --since 7d | mail -s 'Secrets, last week' security@example.com",
    ],
    see: ['audit list', 'docs/how-to/review-the-audit.md'],
  });
  withAuditOption(report)
    .option('--since <time>', 'records since this time: 7d, 2026-01-31 or 2026-01-31T08:00:00Z', '7d')
    .option('--until <time>', 'records until this time (default: now)')
    .action((options) => run(async () => auditReportCommand(context, options)));
}

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
  // With `--audit`, no configuration is loaded. Then `maxAge` is unknown, because it is a setting of mappings in the
  // configuration.
  const config = options.audit === undefined ? await requireCompleteConfig(context, options) : undefined;
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
    append(
      ages,
      sources.map(({ store, key }) => ({ store, key, maxAgeMs })),
    );
  }
  return ages;
}

const WRITES: readonly Action[] = ['create', 'update', 'repair', 'adopt'];

/**
 * Returns the keys that the searches of a mapping found at the last write of a target. The audit log contains these
 * keys, so no store is read.
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

/**
 * Returns the report as the text of an email. Findings that need attention come first, then all other events. The
 * length of each line is limited.
 */
export function auditReportText(report: Report, paint: Paint): string {
  const { since, until, changes, review } = report;
  const kinds = Object.entries(changes.byAction).map(([action, number]) => `${number} ${action}`);
  const summary = [
    `${count(report.records, 'record')}: ${count(changes.total, 'change')}${kinds.length === 0 ? '' : ` (${kinds.join(', ')})`}, ${report.refused.total} refused, ${report.failed.total} failed, ${report.held.total} held.`,
    `Review: ${review.unreviewed} unreviewed, ${review.reviewed} reviewed, ${review.flagged} flagged.`,
    ...(report.configurationChanges + report.exports === 0
      ? []
      : [
          `The configuration was loaded ${count(report.configurationChanges, 'time')}; ${count(report.exports, 'export')}.`,
        ]),
  ];
  const happening = ({
    sequence,
    time,
    by,
    what,
  }: {
    sequence: number;
    time: string;
    by: string;
    what: string;
  }) => `${timeText(time)}  ${by}: ${what}  (${sequence})`;
  const parts = [
    section(
      'Flagged',
      report.flagged,
      (flagged) => `${happening(flagged)}${flagged.note === undefined ? '' : ` "${flagged.note}"`}`,
    ),
    section('Held (waiting or already released)', report.held, happening),
    section('Released', report.released, happening),
    section('Refused', report.refused, troubleText),
    section('Failed', report.failed, troubleText),
    section(
      'Older than `maxAge`',
      report.notRotated,
      ({ store, key, version, since: seen, days, maxDays }) =>
        `${store}: ${key}  version ${shortFingerprint(version)} since ${timeText(seen)}, ${count(days, 'day')} of ${maxDays}`,
    ),
    section(
      'Read for the first time',
      report.firstRead,
      ({ store, key, time }) => `${timeText(time)}  ${store}: ${key}`,
    ),
    section('Changed', report.changed, changedText),
    section('Commands', report.commands, happening),
  ].flat();
  return [
    paint('bold', `Audit report, ${timeText(since)} to ${timeText(until)} UTC`),
    '',
    ...summary,
    ...parts.map((line) => (line.startsWith('  ') || line === '' ? line : paint('bold', line))),
  ].join('\n');
}

function section<T>(
  title: string,
  { total, items }: BoundedList<T>,
  text: (item: T) => string,
): readonly string[] {
  if (total === 0) return [];
  const more = total > items.length ? [`  … and ${total - items.length} more`] : [];
  return ['', `${title}: ${total}`, ...items.map((item) => `  ${safeText(text(item))}`), ...more];
}

function troubleText({ code, times, first, last, sequence, ...about }: ReportedFailure): string {
  const { namespace, secret, mapping, store, key } = about;
  const what =
    secret === undefined
      ? store === undefined
        ? (mapping ?? '')
        : `${store}: ${key ?? ''}`
      : `${namespace}/${secret}`;
  const when = times === 1 ? timeText(last) : `${times} times, ${timeText(first)} to ${timeText(last)}`;
  return [`${code}  ${what}`.trim(), when, `(${sequence})`].join('  ');
}

function changedText({ namespace, secret, changes, keys, time, sequence }: ChangedTarget): string {
  return `${namespace}/${secret}  ${count(changes, 'change')}, last ${timeText(time)} (${sequence})  ${changedKeys(keys).join(' ')}`.trimEnd();
}
