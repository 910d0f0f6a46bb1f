import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LabelRequirement } from '../../src/core/label-selector.ts';
import type { Workload } from '../../src/core/mapping.ts';
import { compareText } from '../../src/core/target.ts';
import { formatWorkload, isContentChange, parseWorkload, restartAnnotation } from '../../src/sync/restart.ts';

const kind = fc.constantFrom('Deployment', 'StatefulSet', 'DaemonSet', 'Rollout');
const name = fc.stringMatching(/^[a-z0-9]([-a-z0-9.]{0,20}[a-z0-9])?$/);
const label = fc.stringMatching(/^([a-z0-9.-]{1,20}\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,10}[A-Za-z0-9])?$/);
const value = fc.stringMatching(/^([A-Za-z0-9]([-A-Za-z0-9_.]{0,10}[A-Za-z0-9])?)?$/);
const matchLabels = fc.dictionary(label, value, { minKeys: 1, maxKeys: 3, noNullPrototype: true });
const requirement: fc.Arbitrary<LabelRequirement> = fc.oneof(
  fc.record({
    key: label,
    operator: fc.constantFrom('In', 'NotIn'),
    values: fc.uniqueArray(value, { minLength: 1, maxLength: 3 }).map((values) => values.sort(compareText)),
  }),
  fc.record({ key: label, operator: fc.constantFrom('Exists', 'DoesNotExist'), values: fc.constant([]) }),
);
const workload: fc.Arbitrary<Workload> = fc.oneof(
  fc.record({ kind, name }),
  fc.record({ kind, selector: fc.record({ matchLabels }) }),
  fc.record({ kind, selector: fc.record({ matchLabels, matchExpressions: fc.tuple(requirement) }) }),
  fc.record({ kind, selector: fc.record({ matchExpressions: fc.tuple(requirement) }) }),
);

describe('text form of a workload in a record', () => {
  it('the text form of a workload is parsed back to an equal workload', () => {
    fc.assert(
      fc.property(workload, (original) => {
        expect(parseWorkload(formatWorkload(original))).toEqual(original);
      }),
    );
  });

  it('the text form of a workload is the same for any order of labels', () => {
    const texts = [
      { a: '1', b: '2' },
      { b: '2', a: '1' },
    ].map((labels) => formatWorkload({ kind: 'Deployment', selector: { matchLabels: labels } }));
    expect(texts).toEqual(['Deployment with a=1,b=2', 'Deployment with a=1,b=2']);
  });

  it.each([
    '',
    'Deployment',
    'Deployment/',
    'Deployment/a/b',
    'Deployment with ',
    'Deployment with =x',
    'Deployment with !a=x',
    'Deployment with a in b',
    'Deployment with a of (b)',
    'x y',
  ])('the text %j is not parsed as a workload', (text) => expect(parseWorkload(text)).toBeUndefined());
});

it('the name of the restart annotation is valid for any Secret name', () => {
  // The SHA-256 of `payments-db`.
  expect(restartAnnotation('payments-db')).toMatch(/^restart\.secretbridge\.dev\/[0-9a-f]{16}$/);
  expect(restartAnnotation('x'.repeat(253)).split('/')[1]).toHaveLength(16);
});

describe('content change', () => {
  const fingerprint = (key: string, text: string) => `${key.repeat(8)}:${text.repeat(64)}`;
  const keys = { added: [], changed: ['A'], removed: [] };

  it('a content change is detected if a key differs and both fingerprints were made with one key', () => {
    const [before, after] = [fingerprint('a', '1'), fingerprint('a', '2')];
    expect(isContentChange({ before, after, keys })).toBe(true);
    expect(isContentChange({ before, after: before, keys })).toBe(false);
    expect(isContentChange({ after, keys })).toBe(false);
    expect(isContentChange({ before, keys })).toBe(false);
    expect(isContentChange({ before, after, keys: { ...keys, changed: [] } })).toBe(false);
    expect(isContentChange({ before: fingerprint('b', '1'), after, keys })).toBe(false);
  });
});
