import type { Finding } from '../../import/notes.ts';
import { labelOf } from '../../import/objects.ts';
import type { ImportResult, ObjectReport, Outcome } from '../../import/result.ts';
import { plain } from '../service/error.ts';
import { count, type Paint, type Style } from '../texts/output.ts';

const WORDS: Readonly<Record<Outcome, { readonly text: string; readonly style: Style }>> = {
  carried: { text: 'carried over', style: 'green' },
  changed: { text: 'changed in meaning', style: 'yellow' },
  notCarried: { text: 'not carried over', style: 'red' },
  skipped: { text: 'made by another', style: 'dim' },
};

/** @param short Only the sums: the rest is in a file. */
export function reportText(
  result: ImportResult,
  paint: Paint,
  { short }: { readonly short: boolean },
): string {
  const { objects, others, unreadable, summary, steps } = result;
  const order: readonly Outcome[] = ['notCarried', 'changed', 'carried', 'skipped'];
  const sums = order
    .filter((outcome) => summary[outcome] > 0)
    .map((outcome) => `${summary[outcome]} ${WORDS[outcome].text}`);
  const total = `${count(objects.length, 'object')}${sums.length === 0 ? '' : `: ${sums.join(', ')}`}.`;
  if (objects.length + others.length + unreadable.length === 0)
    return 'Nothing of external-secrets.io was found.';
  if (short) return total;
  const listed = order
    .flatMap((outcome) => objects.filter((it) => it.outcome === outcome))
    .flatMap((it) => objectText(it, paint));
  return [
    ...listed,
    ...(others.length === 0 ? [] : ['', 'Of their API, and nothing that is carried over:']),
    ...others.map(({ kind, namespace, name }) =>
      plain(`  ${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`),
    ),
    ...(unreadable.length === 0 ? [] : ['', 'Not seen:']),
    ...unreadable.map((what) => `  ${plain(what)}`),
    ...(steps.length === 0 ? [] : ['', ...moveText(steps, paint)]),
    '',
    total,
  ].join('\n');
}

function moveText(steps: ImportResult['steps'], paint: Paint): readonly string[] {
  return [
    ...GENERAL,
    '',
    paint('bold', 'To move without a pod restarted, in this order:'),
    ...steps.flatMap(({ title, text, commands }, index) => [
      `${index + 1}. ${paint('bold', title)}. ${text}`,
      ...commands.map((command) => `     ${paint('cyan', command)}`),
    ]),
  ];
}

/** True of every mapping, so said once. */
const GENERAL = [
  'Of every mapping: when it leaves the configuration, its Secret stays (`onMappingRemoved: keep`); theirs went with',
  'its ExternalSecret. A value is written as the store has it; docs/how-to/move-from-external-secrets.md says where',
  'the bytes may differ.',
];

function objectText(report: ObjectReport, paint: Paint): readonly string[] {
  const { outcome, becomes, findings } = report;
  const { text, style } = WORDS[outcome];
  const name = plain(labelOf({ kind: report.kind, namespace: report.namespace, name: report.name }));
  const into = becomes.length === 0 ? '' : `  → ${becomes.join(', ')}`;
  return [
    `${paint(style, text.padEnd(18))}  ${paint('bold', name)}${into}`,
    ...findings.flatMap((finding) => findingText(finding, paint)),
  ];
}

function findingText({ level, at, what, todo }: Finding, paint: Paint): readonly string[] {
  const sign = level === 'lost' ? paint('red', '✗') : paint('yellow', '~');
  return [
    `  ${sign} ${plain(at)}: ${plain(what)}`,
    ...(todo === undefined ? [] : [`      ${paint('green', plain(todo))}`]),
  ];
}
