import type { BoundedList, ChangedTarget, Report, ReportedFailure } from '../../audit/query/report.ts';
import { safeText } from '../service/error.ts';
import { count, type Paint, shortFingerprint } from './output.ts';
import { changedKeys, timeText } from './record.ts';

/**
 * Returns the report as the text of a mail. Findings that need attention come first, then all other events. The length
 * of each line is limited.
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
