import { type AuditQuery, queryRecords } from '../../audit/query/query.ts';
import { readRecordDetail } from '../../audit/query/record-detail.ts';
import { type Trace, trace } from '../../audit/query/trace.ts';
import { filterOf } from '../audit-question.ts';
import { type AuditOptions, openAuditForReading } from '../audit-reader.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit.ts';
import { count, type Paint, print, shortFingerprint, table } from '../texts/output.ts';
import { detailText, listText, timeText } from '../texts/record.ts';
import { UsageError } from '../usage-error.ts';
import { promptFingerprints } from '../value-prompt.ts';

export interface ListOptions extends AuditOptions, AuditQuery {
  readonly limit: number;
  readonly cursor?: string;
  /** Options that follow a value: `trace` by its fingerprint, `value` by the value itself, which is prompted for. */
  readonly trace?: boolean;
  readonly value?: boolean;
}

export async function auditListCommand(context: Context, options: ListOptions): Promise<number> {
  const { fingerprint, trace: follow, value } = options;
  if (follow && fingerprint === undefined) throw new UsageError('--trace needs --fingerprint');
  const filter = filterOf(options, context.clock.now());
  const typed = value ? await promptFingerprints(context, options) : undefined;
  if (value && typed === undefined) return EXIT.config;
  await using audit = await openAuditForReading(context, options);
  if (audit === undefined) return EXIT.config;
  const traced = typed ?? (follow ? [fingerprint].filter((text) => text !== undefined) : undefined);
  if (traced !== undefined) {
    const { fingerprint: _, ...rest } = filter;
    const traceResult = await trace(audit, rest, traced, options);
    print(context, options.output, { data: traceResult, human: (paint) => traceText(traceResult, paint) });
    return EXIT.ok;
  }
  const page = await queryRecords(audit, filter, options);
  print(context, options.output, {
    data: page,
    human: (paint) => listText(page.records, page.next, paint),
  });
  return EXIT.ok;
}

export async function auditShowCommand(
  context: Context,
  sequence: number,
  options: AuditOptions,
): Promise<number> {
  await using audit = await openAuditForReading(context, options);
  if (audit === undefined) return EXIT.config;
  const recordDetail = await readRecordDetail(audit, sequence);
  print(context, options.output, { data: recordDetail, human: (paint) => detailText(recordDetail, paint) });
  return EXIT.ok;
}

function traceText({ versions, more, records, next }: Trace, paint: Paint): string {
  if (versions.length === 0 && records.length === 0)
    return 'Not found. Older releases recorded fingerprints of whole sources only: search for the whole value of the source.';
  const head = ['STORE', 'KEY', 'VERSION', 'FIRST READ'];
  const rows = versions.map(({ store, key, version, firstRead }) => [
    store,
    key,
    shortFingerprint(version),
    timeText(firstRead),
  ]);
  const [title, ...lines] = table([head, ...rows]).split('\n');
  const where =
    versions.length === 0
      ? []
      : [`Read from ${count(versions.length, 'source version')}:`, paint('dim', title ?? ''), ...lines];
  const rest = more ? ['… and from more versions, which are not included.'] : [];
  return [...where, ...rest, ...(where.length === 0 ? [] : ['']), listText(records, next, paint)].join('\n');
}
