import { describe, expect, it } from 'vitest';
import { FOREIGN_NAMES, HISTORICAL_PAGES } from './exceptions.ts';
import { allPages, blocksOf } from './markdown.ts';
import { collectKnownNames, nameProblem, spansOf } from './names.ts';

const pages = allPages().filter(
  ({ path }) => !Object.keys(HISTORICAL_PAGES).some((past) => path.startsWith(past)),
);
const known = collectKnownNames();

describe('names in the text', () => {
  it.each(pages.map((page) => [page.path, page] as const))('of %s are those of the program', (_, page) => {
    const blocks = blocksOf(page);
    const problems = spansOf(page).flatMap((span) => {
      const problem = nameProblem(span, blocks, known);
      return problem === undefined ? [] : [`\`${span.text}\`: ${problem}`];
    });
    expect(problems).toEqual([]);
  });

  it('that are let pass are still there', () => {
    for (const page of pages) for (const span of spansOf(page)) nameProblem(span, blocksOf(page), known);
    const listed = Object.entries(FOREIGN_NAMES).flatMap(([path, names]) =>
      Object.keys(names).map((name) => `${path} ${name}`),
    );
    expect(listed.filter((entry) => !known.used.has(entry))).toEqual([]);
  });

  it.each([
    ['SOURCE_ABSNT', 'it is neither an error code nor a variable'],
    ['secretbridge_hold', 'there is no such metric'],
    ['sum by (key) (secretbridge_held)', 'no metric of sum by (key) (secretbridge_held) has the label key'],
    ['secretbridge_store_up{name="a"}', 'secretbridge_store_up has no label name'],
    ['--grce 5s', 'no command has this option'],
    ['GET /api/v1/targets', 'there is no such request'],
    ['src/nowhere/file.ts', 'there is no such file'],
    ['absence.reading', 'the configuration has no such place'],
    ['onSourceMising', 'nothing has this name'],
    ['onDrft: report', 'the configuration has no `onDrft`'],
    ['secretbridge.dev/maping', 'there is no such label or annotation'],
  ])('such as `%s` would be found: %s', (text, problem) => {
    const page = { path: 'docs/none.md', text: '' };
    expect(nameProblem({ text, page }, [], known)).toBe(problem);
  });
});
