import { expect, it } from 'vitest';
import type { Mapping } from '../../src/core/mapping.ts';
import { ANNOTATION } from '../../src/sync/ownership-metadata.ts';
import { renameCandidates } from '../../src/sync/rename-candidates.ts';
import { mapping, source } from './sample.ts';

const COUNT = 100;
const names = Array.from({ length: COUNT }, (_, n) => `m${n}`);

const leftOf = (name: string) => {
  const sources = {
    ALL: { store: 'vault', key: 'shared', version: '1' },
    ONE: { store: 'vault', key: name, version: '1' },
  };
  return { annotations: { [ANNOTATION.sources]: JSON.stringify(sources) } };
};

it('of as many targets as there are mappings, all with one source in common, are not each compared with all', () => {
  let looks = 0;
  const looked = (name: string): Mapping =>
    new Proxy(mapping({ name, data: { ALL: source({ key: 'shared' }), ONE: source({ key: name }) } }), {
      get: (of, member) => {
        if (member === 'data') looks += 1;
        return Reflect.get(of, member);
      },
    });
  const wanted = names.map((name) => ({ mapping: looked(name) }));
  const followers = renameCandidates(wanted);
  for (const [index, name] of names.entries()) expect(followers(leftOf(name))).toEqual([wanted[index]]);
  expect(looks).toBeLessThan(10 * COUNT);
});
