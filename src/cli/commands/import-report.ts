import type { Finding } from '../../import/node.ts';
import { labelOf } from '../../import/objects.ts';
import type { ImportResult, ObjectReport, Outcome } from '../../import/result.ts';
import { safeText } from '../service/error.ts';
import { count, type Paint, type Style } from '../texts/output.ts';

const OUTCOME_TEXTS: Readonly<Record<Outcome, { readonly text: string; readonly style: Style }>> = {
  carried: { text: 'carried over', style: 'green' },
  changed: { text: 'changed in meaning', style: 'yellow' },
  notCarried: { text: 'not carried over', style: 'red' },
  skipped: { text: 'made by another', style: 'dim' },
};

/** The sentences of a report that depend on what was imported. */
export interface ReportTexts {
  /** Printed if there is nothing to report. */
  readonly nothing: string;
  /** The heading of objects that are not converted. */
  readonly others: string;
  /** Notes that apply to every mapping. */
  readonly notes: readonly string[];
}

/** @param short Print only the totals, because the details are in a file. */
export function importReportText(
  result: ImportResult,
  paint: Paint,
  { short, texts }: { readonly short: boolean; readonly texts: ReportTexts },
): string {
  const { objects, others, unreadable, summary, steps } = result;
  const order: readonly Outcome[] = ['notCarried', 'changed', 'carried', 'skipped'];
  const sums = order
    .filter((outcome) => summary[outcome] > 0)
    .map((outcome) => `${summary[outcome]} ${OUTCOME_TEXTS[outcome].text}`);
  const total = `${count(objects.length, 'object')}${sums.length === 0 ? '' : `: ${sums.join(', ')}`}.`;
  if (objects.length + others.length + unreadable.length === 0) return texts.nothing;
  if (short) return total;
  const listed = order
    .flatMap((outcome) => objects.filter((objectReport) => objectReport.outcome === outcome))
    .flatMap((objectReport) => objectText(objectReport, paint));
  return [
    ...listed,
    ...(others.length === 0 ? [] : ['', texts.others]),
    ...others.map(({ kind, namespace, name }) =>
      safeText(`  ${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`),
    ),
    ...(unreadable.length === 0 ? [] : ['', 'Not readable:']),
    ...unreadable.map((what) => `  ${safeText(what)}`),
    ...(steps.length === 0 ? [] : ['', ...moveText(steps, texts, paint)]),
    '',
    total,
  ].join('\n');
}

function moveText(steps: ImportResult['steps'], texts: ReportTexts, paint: Paint): readonly string[] {
  return [
    'In secretbridge, a Secret stays when its mapping is removed from the configuration (`onMappingRemoved: keep`).',
    ...texts.notes,
    '',
    paint('bold', 'To migrate, in this order:'),
    ...steps.flatMap(({ title, text, commands }, index) => [
      `${index + 1}. ${paint('bold', title)}. ${text}`,
      ...commands.map((command) => `     ${paint('cyan', command)}`),
    ]),
  ];
}

function objectText(report: ObjectReport, paint: Paint): readonly string[] {
  const { outcome, becomes, findings } = report;
  const { text, style } = OUTCOME_TEXTS[outcome];
  const name = safeText(labelOf({ kind: report.kind, namespace: report.namespace, name: report.name }));
  const into = becomes.length === 0 ? '' : `  → ${becomes.join(', ')}`;
  return [
    `${paint(style, text.padEnd(18))}  ${paint('bold', name)}${into}`,
    ...findings.flatMap((finding) => findingText(finding, paint)),
  ];
}

function findingText({ level, at, what, todo }: Finding, paint: Paint): readonly string[] {
  const sign = level === 'lost' ? paint('red', '✗') : paint('yellow', '~');
  return [
    `  ${sign} ${safeText(at)}: ${safeText(what)}`,
    ...(todo === undefined ? [] : [`      ${paint('green', safeText(todo))}`]),
  ];
}
