import { describe, expect, it } from 'vitest';
import { FOREIGN_NAMES, HISTORICAL_PAGES } from './exceptions.ts';
import { allPages, blocksOf } from './markdown.ts';
import { collectKnownNames, nameProblem, spansOf } from './names.ts';

const pages = allPages().filter(
  ({ path }) => !Object.keys(HISTORICAL_PAGES).some((past) => path.startsWith(past)),
);
const knownNames = await collectKnownNames();

describe('names in the documentation', () => {
  it.each(pages.map((page) => [page.path, page] as const))(
    'all names on page %s exist in the program',
    (_, page) => {
      const blocks = blocksOf(page);
      const problems = spansOf(page).flatMap((span) => {
        const problem = nameProblem(span, blocks, knownNames);
        return problem === undefined ? [] : [`\`${span.text}\`: ${problem}`];
      });
      expect(problems).toEqual([]);
    },
  );

  it('every exception in the list is needed by at least one page', () => {
    for (const page of pages) for (const span of spansOf(page)) nameProblem(span, blocksOf(page), knownNames);
    const listed = Object.entries(FOREIGN_NAMES).flatMap(([path, names]) =>
      Object.keys(names).map((name) => `${path} ${name}`),
    );
    expect(listed.filter((entry) => !knownNames.used.has(entry))).toEqual([]);
  });

  it.each([
    ['SOURCE_ABSNT', 'neither an error code nor a variable'],
    ['secretbridge_hold', 'no such metric'],
    ['sum by (key) (secretbridge_held)', 'no metric of sum by (key) (secretbridge_held) has the label key'],
    ['secretbridge_store_up{name="a"}', 'secretbridge_store_up has no label name'],
    ['--grce 5s', 'no command has this option'],
    ['GET /api/v1/targets', 'no such request'],
    ['src/nowhere/file.ts', 'no such file'],
    ['absence.reading', 'no such path in the configuration'],
    ['onSourceMising', 'unknown name'],
    ['onDrft: report', 'the configuration has no `onDrft`'],
    ['secretbridge.dev/maping', 'no such label or annotation'],
  ])('reports the invalid name `%s` as: %s', (text, problem) => {
    const page = { path: 'docs/none.md', text: '' };
    expect(nameProblem({ text, page }, [], knownNames)).toBe(problem);
  });
});
