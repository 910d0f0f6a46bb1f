import { expect, it } from 'vitest';
import type { Mapping } from '../../src/core/mapping.ts';
import { ANNOTATION } from '../../src/sync/ownership-metadata.ts';
import { renameCandidates } from '../../src/sync/rename-candidates.ts';
import { mapping, source } from './sample.ts';

const COUNT = 100;
const names = Array.from({ length: COUNT }, (_, n) => `m${n}`);

const orphanOf = (name: string) => {
  const sources = {
    ALL: { store: 'vault', key: 'shared', version: '1' },
    ONE: { store: 'vault', key: name, version: '1' },
  };
  return { annotations: { [ANNOTATION.sources]: JSON.stringify(sources) } };
};

it('candidates for a renaming are found without comparing every target with every mapping, even if all mappings share a source', () => {
  let comparisons = 0;
  const comparisonCount = (name: string): Mapping =>
    new Proxy(mapping({ name, data: { ALL: source({ key: 'shared' }), ONE: source({ key: name }) } }), {
      get: (of, member) => {
        if (member === 'data') comparisons += 1;
        return Reflect.get(of, member);
      },
    });
  const targets = names.map((name) => ({ mapping: comparisonCount(name) }));
  const followers = renameCandidates(targets);
  for (const [index, name] of names.entries()) expect(followers(orphanOf(name))).toEqual([targets[index]]);
  expect(comparisons).toBeLessThan(10 * COUNT);
});
