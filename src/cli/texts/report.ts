import type { ChangedTarget, Listed, Report, Trouble } from '../../audit/question/report.ts';
import { plain } from '../service/error.ts';
import { count, type Paint, shortFingerprint } from './output.ts';
import { changedKeys, timeText } from './record.ts';

/** The report as it is read in a mail: what needs somebody first, then what happened, lines of bounded length. */
export function reportText(report: Report, paint: Paint): string {
  const { since, until, changes, review } = report;
  const kinds = Object.entries(changes.byAction).map(([action, number]) => `${number} ${action}`);
  const summary = [
    `${count(report.records, 'record')}: ${count(changes.total, 'change')}${kinds.length === 0 ? '' : ` (${kinds.join(', ')})`}, ${report.refused.total} refused, ${report.failed.total} failed, ${report.held.total} held.`,
    `Review: ${review.unreviewed} unreviewed, ${review.reviewed} reviewed, ${review.flagged} flagged.`,
    ...(report.configurationChanges + report.exports === 0
      ? []
      : [
          `The configuration was taken ${count(report.configurationChanges, 'time')}; ${count(report.exports, 'export')}.`,
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
    part(
      'Flagged',
      report.flagged,
      (it) => `${happening(it)}${it.note === undefined ? '' : ` "${it.note}"`}`,
    ),
    part('Held, waiting for a person or released since', report.held, happening),
    part('Released', report.released, happening),
    part('Refused', report.refused, troubleText),
    part('Failed', report.failed, troubleText),
    part(
      'Not rotated for longer than `maxAge`',
      report.notRotated,
      ({ store, key, version, since: seen, days, maxDays }) =>
        `${store}: ${key}  version ${shortFingerprint(version)} since ${timeText(seen)}, ${count(days, 'day')} of ${maxDays}`,
    ),
    part(
      'Read for the first time',
      report.firstRead,
      ({ store, key, time }) => `${timeText(time)}  ${store}: ${key}`,
    ),
    part('Changed', report.changed, changedText),
    part('Commands', report.commands, happening),
  ].flat();
  return [
    paint('bold', `Audit report, ${timeText(since)} to ${timeText(until)} UTC`),
    '',
    ...summary,
    ...parts.map((line) => (line.startsWith('  ') || line === '' ? line : paint('bold', line))),
  ].join('\n');
}

function part<T>(title: string, { total, items }: Listed<T>, text: (item: T) => string): readonly string[] {
  if (total === 0) return [];
  const more = total > items.length ? [`  … and ${total - items.length} more`] : [];
  return ['', `${title}: ${total}`, ...items.map((item) => `  ${plain(text(item))}`), ...more];
}

function troubleText({ code, times, first, last, sequence, ...about }: Trouble): string {
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
