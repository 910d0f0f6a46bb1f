import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Exception,
  exceptionOf,
  type Gives,
  type Group,
  STORES,
  type StoreName,
} from '../../test/matrix/table/case.ts';
import { VALUES } from '../../test/matrix/values.ts';

const BEGIN = '<!-- Generated from test/matrix/values.ts by `npm run docs`. -->';
const END = '<!-- End of the generated table. -->';
const PAGE = join(import.meta.dirname, '../../docs/reference/values.md');
const NAMES = Object.keys(STORES) as StoreName[];

/** Returns `docs/reference/values.md` with an updated table of supported values. */
export async function valuesPage(): Promise<string> {
  const page = await readFile(PAGE, 'utf8');
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error(`${PAGE} lacks the comments around its generated table`);
  return `${before}${BEGIN}\n\n${table()}\n\n${END}${after}`;
}

function table(): string {
  const reasons: string[] = [];
  const note = (why: string): string => {
    if (!reasons.includes(why)) reasons.push(why);
    return `(${reasons.indexOf(why) + 1})`;
  };
  const rows = VALUES.flatMap(({ cases }) => cases)
    .map((one) => ({ one, exceptions: NAMES.map((name) => exceptionOf(one, name)) }))
    .filter(({ exceptions }) => exceptions.some((exception) => exception !== undefined))
    .map(({ one, exceptions }) => [
      one.title,
      ...exceptions.map((exception) => cell(exception, one.gives, note)),
    ]);
  const head = ['value in the store', ...NAMES.map((name) => STORES[name])];
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  return [
    `The tests send ${count(VALUES)} values through the whole path on every store. The table lists the values that at least one store changes or cannot hold. A cell shows what arrives in the Secret: \`yes\` is the value itself, and \`no\` means that the store cannot hold the value. A number refers to a note below the table. A cell without a number follows the rules of this page.`,
    lines.join('\n'),
    reasons.map((why, index) => `${index + 1}. ${capital(why)}.`).join('\n'),
    'These values arrive in the same way from every store:',
    VALUES.map(same)
      .filter((line) => line !== '')
      .join('\n'),
  ].join('\n\n');
}

function cell(exception: Exception | undefined, rule: Gives, note: (why: string) => string): string {
  if (exception === undefined) return shown(rule);
  if (exception.kind === 'cannot') return `no ${note(exception.why)}`;
  return `${shown(exception.gives)} ${note(exception.why)}`;
}

/**
 * Returns the table cell for an outcome. An error code or a short printable text appears in full. Any other supported
 * value appears as `yes`.
 */
function shown(gives: Gives): string {
  if ('code' in gives) return `\`${gives.code}\``;
  const values = Object.values(gives.data);
  const [value] = values;
  if (values.length !== 1 || typeof value !== 'string' || value.length > 40) return 'yes';
  if (value === '\ufffd') return '`U+FFFD`';
  return /^[\x20-\x7e]*[\x21-\x7e]\n?$/.test(value) ? `\`${value.trimEnd()}\`` : 'yes';
}

function same({ title, cases }: Group): string {
  const titles = cases
    .filter((one) => NAMES.every((name) => exceptionOf(one, name) === undefined))
    .map((one) => `${capital(one.title)}.`);
  return titles.length === 0 ? '' : `- **${title}.** ${titles.join(' ')}`;
}

function count(groups: readonly Group[]): number {
  return groups.reduce((sum, { cases }) => sum + cases.length, 0);
}

function capital(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}
