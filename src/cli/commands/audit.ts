import { detail } from '../../audit/question/detail.ts';
import { answer, type Question } from '../../audit/question/question.ts';
import { type Trace, trace } from '../../audit/question/trace.ts';
import { filterOf } from '../audit-question.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit.ts';
import { type AuditOptions, openAuditForReading } from '../read-audit.ts';
import { count, type Paint, print, shortFingerprint, table } from '../texts/output.ts';
import { detailText, listText, timeText } from '../texts/record.ts';
import { typedFingerprints } from '../typed-value.ts';
import { UsageError } from '../usage-error.ts';

export interface ListOptions extends AuditOptions, Question {
  readonly limit: number;
  readonly cursor?: string;
  /** Follow a value: by its fingerprint, or by itself, which is then asked for. */
  readonly trace?: boolean;
  readonly value?: boolean;
}

export async function auditListCommand(context: Context, options: ListOptions): Promise<number> {
  const { fingerprint, trace: follow, value } = options;
  if (follow && fingerprint === undefined) throw new UsageError('--trace follows a --fingerprint');
  const filter = filterOf(options, context.clock.now());
  const typed = value ? await typedFingerprints(context, options) : undefined;
  if (value && typed === undefined) return EXIT.config;
  await using audit = await openAuditForReading(context, options);
  if (audit === undefined) return EXIT.config;
  const traced = typed ?? (follow ? [fingerprint].filter((it) => it !== undefined) : undefined);
  if (traced !== undefined) {
    const { fingerprint: _, ...rest } = filter;
    const found = await trace(audit, rest, traced, options);
    print(context, options.output, { data: found, human: (paint) => traceText(found, paint) });
    return EXIT.ok;
  }
  const found = await answer(audit, filter, options);
  print(context, options.output, {
    data: found,
    human: (paint) => listText(found.records, found.next, paint),
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
  const found = await detail(audit, sequence);
  print(context, options.output, { data: found, human: (paint) => detailText(found, paint) });
  return EXIT.ok;
}

function traceText({ versions, more, records, next }: Trace, paint: Paint): string {
  if (versions.length === 0 && records.length === 0)
    return 'Not on record. Older releases noted no single values: what they wrote is found by the whole value of a source.';
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
      : [
          `It was read from ${count(versions.length, 'version')} of a source:`,
          paint('dim', title ?? ''),
          ...lines,
        ];
  const rest = more ? ['… and from more, which are not followed.'] : [];
  return [...where, ...rest, ...(where.length === 0 ? [] : ['']), listText(records, next, paint)].join('\n');
}
