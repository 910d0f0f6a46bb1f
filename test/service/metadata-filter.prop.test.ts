import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SecretMeta } from '../../src/cluster/cluster.ts';
import { looksInSync, sourceVersionsOf } from '../../src/reconcile/in-sync.ts';
import { createMetadataFilter } from '../../src/service/watch/metadata-filter.ts';
import { LABEL } from '../../src/sync/ownership-metadata.ts';
import { source } from '../sync/sample.ts';
import { meta, STORES, wanted } from './sample.ts';

const APP = wanted({ data: { A: source({ key: 'a' }) }, target: { labels: { team: 'a' } } });
const IN_STEP: SecretMeta = meta(APP, { A: ['a', '1'] });
/** Labels can have the names of inherited object properties. */
const INHERITED = ['constructor', 'toString', 'valueOf'];
const others = fc.dictionary(
  fc.oneof(fc.stringMatching(/^others\.dev\/[a-z]{1,6}$/), fc.constantFrom(...INHERITED)),
  fc.string(),
  { maxKeys: 4 },
);

describe('filtered metadata of a Secret', () => {
  it('the filtered metadata of a Secret leads to the same check results as the complete metadata', () => {
    const kept = createMetadataFilter();
    const names = fc.constantFrom(...Object.values(LABEL), 'team');
    fc.assert(
      fc.property(
        others,
        others,
        fc.option(names),
        fc.boolean(),
        (labels, annotations, removedLabel, foreign) => {
          const whole: SecretMeta = {
            ...IN_STEP,
            labels: { ...labels, ...IN_STEP.labels },
            annotations: { ...annotations, ...IN_STEP.annotations },
            foreign,
          };
          if (removedLabel !== null) delete (whole.labels as Record<string, string>)[removedLabel];
          const input = { mapping: APP.mapping, instance: 'prod', stores: STORES };
          const part = kept(whole, [APP]);
          expect(looksInSync(part, input)).toBe(looksInSync(whole, input));
          expect(sourceVersionsOf(part, APP.mapping)).toEqual(sourceVersionsOf(whole, APP.mapping));
          for (const name of [...Object.keys(part.labels), ...Object.keys(part.annotations)])
            expect(name).not.toMatch(/^others|^(constructor|toString|valueOf)$/);
        },
      ),
    );
  });

  it('the metadata filter shares equal texts between the targets of one mapping', () => {
    const kept = createMetadataFilter();
    const copy = (): SecretMeta => JSON.parse(JSON.stringify(IN_STEP)) as SecretMeta;
    const [one, two] = [kept(copy(), [APP]), kept(copy(), [APP])];
    expect(one).toEqual(two);
    expect(one.ours?.data).toBe(two.ours?.data);
  });
});
