import type { PlannedTarget } from '../commands/planned-targets.ts';
import { warningsData } from '../commands/serve/answers.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import type { KeyPlan } from '../sync/drift.ts';
import { commandRemedy } from './texts/output.ts';

/** The parts of a plan that a comment on a pull request shows. */
interface MarkdownPlan {
  readonly targets: readonly PlannedTarget[];
  readonly held: readonly (TargetId & {
    readonly id: string;
    readonly mapping: string;
    readonly reason?: string | undefined;
  })[];
}

/** A comment on GitHub may have 65,536 characters. */
const MAX_ROWS = 200;
const MAX_KEYS = 30;

/** Formats a plan as GitHub Flavored Markdown, for a comment on a pull request or the summary of a job. */
export function planMarkdown(
  { targets, held }: MarkdownPlan,
  { all, summary }: { readonly all: boolean; readonly summary: string },
): string {
  const shown = targets.filter(({ action }) => all || action !== 'unchanged');
  const rows = shown.slice(0, MAX_ROWS).map(rowOf);
  const warnings = warningsData(targets).map(
    ({ code, message, ...target }) => `- \`${code}\`: ${codeSpan(formatTarget(target))}: ${plain(message)}`,
  );
  return [
    `### ${plain(summary.replace(/\.$/, ''))}`,
    ...(rows.length === 0 ? [] : [table(rows)]),
    ...(shown.length > MAX_ROWS ? [`… and ${shown.length - MAX_ROWS} more.`] : []),
    ...(held.length === 0 ? [] : [held.map(heldLine).join('\n')]),
    ...(warnings.length === 0 ? [] : ['**Warnings**', warnings.join('\n')]),
    'Values are never shown. `+` adds a key, `~` changes it, `-` removes it.',
  ].join('\n\n');
}

function table(rows: readonly (readonly string[])[]): string {
  const head = ['change', 'Secret', 'mapping', 'keys'];
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function rowOf({ mapping, target, action, how, error, keys }: PlannedTarget): readonly string[] {
  const change = how === undefined ? action : `${action} (${how})`;
  const reason =
    error === undefined
      ? []
      : [`\`${error.code}\`: ${plain(`${error.message}. ${commandRemedy(error.remedy)}`)}`];
  return [
    error === undefined ? change : `**${change}**`,
    codeSpan(formatTarget(target)),
    plain(mapping),
    [keysText(keys), ...reason].filter((part) => part !== '').join('<br>'),
  ];
}

const SIGNS = { add: '+', change: '~', remove: '-' } as const;

function keysText(keys: readonly KeyPlan[]): string {
  const changed = keys.flatMap(({ name, action }) =>
    action === 'keep' ? [] : [`${SIGNS[action]}${codeSpan(name)}`],
  );
  const more = changed.length - MAX_KEYS;
  return [...changed.slice(0, MAX_KEYS), ...(more > 0 ? [`and ${more} more`] : [])].join(' ');
}

function heldLine({ id, reason, ...target }: MarkdownPlan['held'][number]): string {
  const why = reason === undefined ? '' : `: ${plain(reason)}`;
  return `- held: ${codeSpan(formatTarget(target))}${why}. Approve it with \`secretbridge release ${id}\`.`;
}

/** Names in a code span need no other escapes. A backtick would end the span, and a pipe would end the cell. */
function codeSpan(name: string): string {
  return `\`${name.replaceAll('`', "'").replaceAll('|', '\\|')}\``;
}

/** Escapes what Markdown or GitHub would interpret, such as a mention of a person. */
function plain(text: string): string {
  return text
    .replace(/[\\*_{}[\]<>()#+!|~]/g, (character) => `\\${character}`)
    .replaceAll('@', '&#64;')
    .replaceAll('\n', ' ');
}
