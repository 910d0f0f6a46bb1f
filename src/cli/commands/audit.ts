import type { AuditRecord } from '../../audit/entry.ts';
import { answer, ordered, type Question, toFilter } from '../../audit/question.ts';
import { AppError } from '../../core/errors.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit.ts';
import { instant } from '../instant.ts';
import { count, type Paint, print, shortFingerprint, table } from '../output.ts';
import { type AuditOptions, openAuditForReading } from '../read-audit.ts';

export interface ListOptions extends AuditOptions, Question {
  readonly limit: number;
  readonly cursor?: string;
}

export async function auditListCommand(context: Context, options: ListOptions): Promise<number> {
  const now = context.clock.now();
  const filter = toFilter(options, (text) => instant(text, now));
  await using audit = await openAuditForReading(context, options);
  if (audit === undefined) return EXIT.config;
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
  const record = await audit.get(sequence);
  if (record === undefined)
    throw new AppError('RECORD_MISSING', { detail: `there is no record ${sequence} in ${audit.address}` });
  print(context, options.output, { data: ordered(record), human: (paint) => recordText(record, paint) });
  return EXIT.ok;
}

function listText(records: readonly AuditRecord[], next: string | undefined, paint: Paint): string {
  if (records.length === 0) return 'No record matches.';
  const head = ['SEQUENCE', 'TIME', 'ACTION', 'OUTCOME', 'WHAT', 'BY', 'NOTE'];
  const rows = records.map((record) => [
    String(record.sequence),
    record.time.replace('T', ' ').replace(/\.\d+Z$/, ''),
    record.phase === 'intent' ? `${record.action} (intent)` : record.action,
    record.outcome,
    subject(record),
    record.actor.name ?? record.actor.kind,
    noteOf(record),
  ]);
  const [title, ...lines] = table([head, ...rows]).split('\n');
  const more = next === undefined ? [] : ['', `More: --cursor ${next}`];
  return [paint('dim', title ?? ''), ...lines.map((line) => line.trimEnd()), ...more].join('\n');
}

function subject({ namespace, secret, mapping, store, key }: AuditRecord): string {
  if (secret !== undefined) return `${namespace}/${secret}`;
  if (store !== undefined) return key === undefined ? store : `${store}: ${key}`;
  return mapping ?? '';
}

function noteOf({ code, note, keys, sources, action, counts }: AuditRecord): string {
  const changes = [
    ...keys.added.map((name) => `+${name}`),
    ...keys.changed.map((name) => `~${name}`),
    ...keys.removed.map((name) => `-${name}`),
  ];
  const version =
    action === 'read' && sources[0] !== undefined ? [`version ${shortFingerprint(sources[0].version)}`] : [];
  const { targets, ...rest } = counts ?? {};
  const totals = Object.entries(rest).filter(([, number]) => number > 0);
  const total = targets === undefined ? [] : [`${count(targets, 'target')}:`];
  return [
    code,
    note,
    ...changes,
    ...version,
    ...total,
    ...totals.map(([name, number]) => `${number} ${name}`),
  ]
    .filter((part) => part !== undefined)
    .join(' ');
}

function recordText(record: AuditRecord, paint: Paint): string {
  const rows = Object.entries(ordered(record)).flatMap(([name, value]) => memberRows(name, value, record));
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${paint('dim', name.padEnd(width))}  ${value}`).join('\n');
}

function memberRows(
  name: string,
  value: unknown,
  { actor, sources, keys, counts }: AuditRecord,
): [string, string][] {
  switch (name) {
    case 'actor':
      return [[name, [actor.kind, actor.name, actor.address].filter((part) => part !== undefined).join(' ')]];
    case 'sources':
      return sources.map(({ store, key, property, version }) => [
        'source',
        `${store}: ${key}${property === undefined ? '' : ` # ${property}`} version ${version}`,
      ]);
    case 'keys':
      return Object.entries(keys).flatMap(([change, names]): [string, string][] =>
        names.length === 0 ? [] : [[change, names.join(', ')]],
      );
    case 'counts':
      return Object.entries(counts ?? {}).map(([what, number]) => [what, String(number)]);
    default:
      return [[name, String(value)]];
  }
}
