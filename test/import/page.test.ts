import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FUNCTIONS } from '../../src/import/template/functions.ts';
import { FILTERS } from '../../src/sync/template/filters.ts';

const PAGE = readFileSync(
  resolve(import.meta.dirname, '../../docs/how-to/move-from-external-secrets.md'),
  'utf8',
);

/** Returns the names in one column of the function table. */
function column(at: number): readonly string[] {
  const table = PAGE.slice(PAGE.indexOf('### Functions in templates'), PAGE.indexOf('Every other function'));
  const rows = table.split('\n').filter((line) => line.startsWith('| `'));
  return rows.flatMap((row) =>
    [...(row.split(' | ')[at] ?? '').matchAll(/`(\w+)`/g)].map(([, name = '']) => name),
  );
}

describe('the migration page', () => {
  it('the migration page lists exactly the functions that can be converted', () => {
    expect(column(0).toSorted()).toEqual(Object.keys(FUNCTIONS).toSorted());
  });

  it('the migration page lists only existing filters', () => {
    for (const name of column(1)) expect(Object.keys(FILTERS)).toContain(name);
  });
});
