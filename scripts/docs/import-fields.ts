import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FieldCase, FieldOutcome, FieldTable } from '../../test/import/fields/case.ts';
import { FIELD_TABLES } from '../../test/import/fields/tables.ts';

const BEGIN = '<!-- Generated from test/import/fields by `npm run docs`. -->';
const END = '<!-- End of the generated table. -->';
const ROOT = join(import.meta.dirname, '../..');

const OUTCOMES: Readonly<Record<FieldOutcome, string>> = {
  carried: 'carried over',
  changed: 'changed in meaning',
  notCarried: 'not carried over',
};

/** Returns the pages about migrations, with updated tables of fields. */
export async function importFieldPages(): Promise<readonly (readonly [string, string])[]> {
  return Promise.all(FIELD_TABLES.map(async (table) => [table.page, await pageOf(table)] as const));
}

async function pageOf(table: FieldTable): Promise<string> {
  const page = await readFile(join(ROOT, table.page), 'utf8');
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error(`${table.page} lacks the comments around its generated table`);
  return `${before}${BEGIN}\n\n${tablesOf(table)}\n\n${END}${after}`;
}

function tablesOf({ groups }: FieldTable): string {
  return groups
    .map(({ title, cases }) => {
      const rows = cases.map((one) => `| ${nameOf(one)} | ${OUTCOMES[one.outcome]} | ${one.becomes} |`);
      return [`### ${title}`, '', '| field | | in secretbridge |', '| --- | --- | --- |', ...rows].join('\n');
    })
    .join('\n\n');
}

/**
 * Formats the part of the name that is a path or a value. It is no code span, because the checks of the pages require
 * that code spans name something of secretbridge.
 */
function nameOf({ field }: FieldCase): string {
  const [, path, rest = ''] = /^([\w.[\]*]+(?:: ?[\w.*"/-]+)?)((?:,| ).*)?$/.exec(field) ?? [];
  const isPath =
    path !== undefined && /[a-z][A-Z]|\.|\[|:|_|^[a-z]+$/.test(path) && !/^(?:no|any|the|text)$/.test(path);
  return isPath ? `<code>${path}</code>${rest}` : field;
}
