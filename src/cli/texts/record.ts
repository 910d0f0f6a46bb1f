import type { AuditRecord, KeyChanges } from '../../audit/entry.ts';
import { orderMembers, type ReviewedRecord } from '../../audit/query/query.ts';
import type { RecordDetail } from '../../audit/query/record-detail.ts';
import type { FieldChange } from '../../core/json.ts';
import { largest } from '../../core/lists.ts';
import { safeLine, safeText } from '../service/error.ts';
import { count, type Paint, shortFingerprint, table } from './output.ts';

/** Formats records as a table, newest first. Names and notes come from users, so control characters are escaped. */
export function listText(records: readonly ReviewedRecord[], next: string | undefined, paint: Paint): string {
  if (records.length === 0) return 'No record matches.';
  const head = ['SEQUENCE', 'TIME', 'ACTION', 'OUTCOME', 'SUBJECT', 'ACTOR', 'DETAILS'];
  const rows = records.map((record) => [
    String(record.sequence),
    timeText(record.time),
    record.phase === 'intent' ? `${record.action} (intent)` : record.action,
    record.outcome,
    safeText(subject(record)),
    safeText(record.actor.name ?? record.actor.kind),
    safeText(noteOf(record)),
  ]);
  const [title, ...lines] = table([head, ...rows]).split('\n');
  const more = next === undefined ? [] : ['', `Next page: --cursor ${next}`];
  return [paint('dim', title ?? ''), ...lines.map((line) => line.trimEnd()), ...more].join('\n');
}

/** Formats a time in UTC with a resolution of one second. */
export function timeText(time: string): string {
  return time.replace('T', ' ').replace(/(\.\d+)?Z$/, '');
}

function subject({ namespace, secret, mapping, store, key, review }: AuditRecord): string {
  if (secret !== undefined) return `${namespace}/${secret}`;
  if (store !== undefined) return key === undefined ? store : `${store}: ${key}`;
  return review === undefined ? (mapping ?? '') : `record ${review.sequence}`;
}

function noteOf(record: ReviewedRecord): string {
  const { code, note, keys, sources, action, counts, review, reviewed } = record;
  const version =
    action === 'read' && sources[0] !== undefined ? [`version ${shortFingerprint(sources[0].version)}`] : [];
  const { targets, changesLeftOut: _, ...rest } = counts ?? {};
  // For a restart, show zero too, because it means that no workload was restarted.
  const totals = Object.entries(rest).filter(([, number]) => number > 0 || action === 'restart');
  const total = targets === undefined ? [] : [`${count(targets, 'target')}${totals.length === 0 ? '' : ':'}`];
  return [
    code,
    review?.state,
    // Omit the note of a `read` record, because such a note is written for programs.
    action === 'read' ? undefined : note,
    ...changedKeys(keys),
    ...changedFields(record),
    ...version,
    failedReads(record),
    ...total,
    totals.length === 0 ? undefined : totals.map(([name, number]) => `${number} ${name}`).join(', '),
    reviewed === undefined ? undefined : `[${reviewText(reviewed)}]`,
  ]
    .filter((part) => part !== undefined)
    .join(' ');
}

/** The number of changed fields in a list. `audit show` prints all. */
const FIELDS_IN_LIST = 2;

function changedFields({ changes = [], counts = {} }: AuditRecord): readonly string[] {
  const shown = changes.slice(0, FIELDS_IN_LIST).map(fieldText);
  const more = changes.length - shown.length + (counts.changesLeftOut ?? 0);
  return more === 0 ? shown : [...shown, `and ${count(more, 'more field')}`];
}

function fieldText({ path, before = '(none)', after = '(none)' }: FieldChange): string {
  return `${path}: ${before} → ${after}`;
}

function failedReads({ count: reads = 0, since }: AuditRecord): string | undefined {
  return reads < 2 || since === undefined ? undefined : `${reads} failed reads since ${timeText(since)}`;
}

/** Returns the changed keys as `+added`, `~changed`, `-removed`. */
export function changedKeys({ added, changed, removed }: KeyChanges): readonly string[] {
  return [
    ...added.map((name) => `+${name}`),
    ...changed.map((name) => `~${name}`),
    ...removed.map((name) => `-${name}`),
  ];
}

function reviewText({ state, by, note }: NonNullable<ReviewedRecord['reviewed']>): string {
  return `${state}${by === undefined ? '' : ` by ${by}`}${note === undefined ? '' : `: ${note}`}`;
}

/** Formats one complete record, with its related records and the record's position in the chain. */
export function detailText({ counterpart, chain, ...record }: RecordDetail, paint: Paint): string {
  const members = Object.entries(orderMembers(record)).flatMap(([name, value]) =>
    memberRows(name, value, record),
  );
  const isOpen = record.reviewed === undefined && record.action !== 'review';
  const rows = [...members, ...(isOpen ? [['review', 'unreviewed'] as const] : [])];
  const width = largest(rows.map(([name]) => name.length));
  const own = rows.map(([name, value]) => `${paint('dim', name.padEnd(width))}  ${safeLine(value)}`);
  const pair = counterpart === undefined ? [] : ['', pairText(record, counterpart, paint)];
  return [...own, ...pair, '', chainText(record.sequence, chain, paint)].join('\n');
}

const COMPARED = ['time', 'outcome', 'code', 'before', 'after', 'resourceVersion', 'note'] as const;

function pairText(record: ReviewedRecord, counterpart: ReviewedRecord, paint: Paint): string {
  const [intent, outcome] = record.phase === 'intent' ? [record, counterpart] : [counterpart, record];
  const head = ['', `INTENT ${intent.sequence}`, `OUTCOME ${outcome.sequence}`];
  const rows = COMPARED.filter((name) => intent[name] !== undefined || outcome[name] !== undefined).map(
    (name) => [name, safeLine(shown(intent[name])), safeLine(shown(outcome[name]))],
  );
  const [title, ...lines] = table([head, ...rows]).split('\n');
  return [paint('dim', title ?? ''), ...lines.map((line) => line.trimEnd())].join('\n');
}

function shown(value: string | undefined): string {
  return value === undefined ? '' : shortFingerprint(value);
}

function chainText(
  sequence: number,
  { previous, next, head, fits }: RecordDetail['chain'],
  paint: Paint,
): string {
  const neighbors = [
    previous === undefined ? [] : [`after ${previous}`],
    next === undefined ? [] : [`before ${next}`],
  ].flat();
  const place = `Record ${sequence} of ${head}${neighbors.length === 0 ? '' : `, ${neighbors.join(' and ')}`}`;
  return fits
    ? `${place}: it matches its neighbors. \`secretbridge audit verify\` verifies the whole chain.`
    : paint('red', `${place}: it does not match its neighbors. Run \`secretbridge audit verify\`.`);
}

function memberRows(
  name: string,
  value: unknown,
  { actor, sources, keys, values, counts, changes = [], review, reviewed }: ReviewedRecord,
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
    case 'values':
      return Object.entries(values ?? {}).map(([key, fingerprint]) => ['value', `${key} ${fingerprint}`]);
    case 'counts':
      return Object.entries(counts ?? {}).map(([what, number]) => [what, String(number)]);
    case 'changes':
      return changes.map((field) => ['change', fieldText(field)]);
    case 'review':
      return review === undefined ? [] : [[name, `record ${review.sequence}: ${review.state}`]];
    case 'reviewed':
      return reviewed === undefined
        ? []
        : [[name, `${reviewText(reviewed)} (${timeText(reviewed.time)}, record ${reviewed.sequence})`]];
    default:
      return [[name, String(value)]];
  }
}
