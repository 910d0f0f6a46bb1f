import { type Command, Option } from 'commander';
import { type AuditQuery, queryRecords } from '../../audit/query/query.ts';
import { positionOf, readRecordDetail } from '../../audit/query/record-detail.ts';
import { type Trace, trace } from '../../audit/query/trace.ts';
import { filterOf, withAuditOption, withFilters } from '../audit-options.ts';
import { type AuditOptions, openAuditForReading } from '../audit-reader.ts';
import type { Context } from '../context.ts';
import { EXIT, UsageError } from '../errors.ts';
import { promptFingerprints } from '../input.ts';
import { command, positiveInteger, type Run } from '../options.ts';
import { withHelp } from '../texts/help.ts';
import { count, type Paint, print, shortFingerprint, table } from '../texts/output.ts';
import { detailText, listText, timeText } from '../texts/record.ts';
import { addAccept } from './audit-accept.ts';
import { addExport } from './audit-export.ts';
import { addMigrate } from './audit-migrate.ts';
import { addReport } from './audit-report.ts';
import { addReview } from './audit-review.ts';
import { addVerify } from './audit-verify.ts';

/** Adds the commands `secretbridge audit …`. */
export function addAudit(program: Command, context: Context, run: Run): void {
  const audit = withHelp(program.command('audit'), {
    examples: ['secretbridge audit list --since 7d --outcome refused'],
    see: ['docs/how-to/review-the-audit.md', 'docs/explanation/the-audit.md'],
  })
    .description('List, review, verify and export the records of all reads, changes and refusals.')
    .helpCommand(false);
  addList(audit, context, run);
  addShow(audit, context, run);
  addReview(audit, context, run);
  addVerify(audit, context, run);
  addAccept(audit, context, run);
  addReport(audit, context, run);
  addExport(audit, context, run);
  addMigrate(audit, context, run);
}

export function addList(audit: Command, context: Context, run: Run): void {
  const list = command(audit, 'list', 'List records, newest first. Filters combine.', {
    examples: ['secretbridge audit list --since 7d --namespace payments', 'secretbridge audit list --value'],
    see: ['audit show', 'audit export', 'docs/how-to/review-the-audit.md'],
  });
  withFilters(withAuditOption(list))
    .option('--trace', 'with --fingerprint: also show what was made from the versions with this fingerprint')
    .addOption(
      new Option(
        '--value',
        'find where a value was used; the value is read from a hidden prompt or standard input',
      ).conflicts(['fingerprint', 'trace']),
    )
    .option('--limit <number>', 'records on a page', positiveInteger, 50)
    .option('--cursor <cursor>', 'continue after a page, from its `next`', (text) =>
      String(positiveInteger(text)),
    )
    .action((options) => run(async () => auditListCommand(context, options)));
}

export function addShow(audit: Command, context: Context, run: Run): void {
  const show = command(
    audit,
    'show',
    'Show a record with its intent or outcome, its review and its position in the chain.',
    {
      examples: ['secretbridge audit show 42'],
      see: ['audit list', 'audit verify', 'docs/reference/audit-format.md'],
    },
  );
  withAuditOption(show.argument('<sequence>', 'number of the record', positiveInteger)).action(
    (sequence: number, options) => run(async () => auditShowCommand(context, sequence, options)),
  );
}

export interface ListOptions extends AuditOptions, AuditQuery {
  readonly limit: number;
  readonly cursor?: string;
  /**
   * Both options search for one secret value. `trace` searches with the given fingerprint. `value` prompts for the
   * value and computes its fingerprint.
   */
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
  const recordDetail = await readRecordDetail(audit, sequence, (of) => positionOf(audit, of));
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
