import { describe, expect, it } from 'vitest';
import { createFingerprinter, type Fingerprinter } from '../../src/core/fingerprint.ts';
import type { LiveSecret } from '../../src/core/secret.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import type { Desired } from '../../src/sync/desired.ts';
import { ANNOTATION, LABEL } from '../../src/sync/ownership-metadata.ts';
import { type PlanInput, plan } from '../../src/sync/plan.ts';
import { applied, data, mapping, planInput } from './sample.ts';

function ready(text: string, version = '1'): Desired {
  const sources = new Map([['a', { store: 'vault', key: 'app', version }]]);
  return { kind: 'ready', data: data({ a: text }), sources, absent: [] };
}

const input = planInput({
  mapping: mapping({ target: { labels: { team: 'x' }, annotations: { note: 'y' } } }),
  desired: ready('1'),
});

function made(from: PlanInput): LiveSecret {
  const result = plan({ ...from, live: undefined });
  if (result.kind !== 'create') throw new Error(`expected a create, got ${result.kind}`);
  return applied(result.manifest);
}

const target = made(input);

/** As the API server has it after somebody else set or removed marks: what they touched is no longer ours. */
function touched(
  part: 'labels' | 'annotations',
  changes: Readonly<Record<string, string | undefined>>,
): LiveSecret {
  const entries = Object.entries({ ...target[part], ...changes }).filter(([, value]) => value !== undefined);
  const ours = target.ours ?? { labels: [], annotations: [] };
  return {
    ...target,
    [part]: Object.fromEntries(entries),
    ours: { ...ours, [part]: ours[part].filter((name) => !(name in changes)) },
  };
}

/** The kind of the plan, and whether it takes the difference for drift. */
function judged(live: LiveSecret, other: Partial<PlanInput> = {}): string {
  const result = plan({ ...input, ...other, live });
  return `${result.kind} ${'drift' in result && result.drift ? 'drift' : '-'}`;
}

describe('a change by hand is drift', () => {
  it('also where the fingerprint was made under another key: the versions tell', () => {
    const fingerprints = createFingerprinter(SecretValue.fromBytes(new Uint8Array(32).fill(9)));
    expect(judged(target, { fingerprints })).toBe('unchanged -');
    expect(judged({ ...target, data: data({ a: 'theirs' }) }, { fingerprints })).toBe('update drift');
    const rotated = { fingerprints, desired: ready('2', '2') };
    expect(judged({ ...target, data: data({ a: 'theirs' }) }, rotated)).toBe('update -');
  });

  it('and where the versions are fingerprints too, the older key tells', () => {
    const bytes = (n: number) => SecretValue.fromBytes(new Uint8Array(32).fill(n));
    const [older, newer] = [createFingerprinter(bytes(8)), createFingerprinter(bytes(9), [bytes(8)])];
    const at = (fingerprints: Fingerprinter, text: string) => ({
      fingerprints,
      desired: ready(text, fingerprints.value(SecretValue.fromText(text))),
    });
    const written = made({ ...input, ...at(older, '1') });
    const edited = { ...written, data: data({ a: 'theirs' }) };
    expect(judged(written, at(newer, '1'))).toBe('unchanged -');
    expect(judged(edited, at(newer, '1'))).toBe('update drift');
    expect(judged(edited, at(newer, '2'))).toBe('update -');
    expect(judged(written, at(newer, '2'))).toBe('update -');
    expect(judged(edited, at(createFingerprinter(bytes(9)), '1'))).toBe('update -');
  });

  it('and another key alone is none, also where there are too many sources to name', () => {
    const names = Array.from({ length: 1_200 }, (_, n) => `a-source-with-a-long-name-${n}`);
    const many = (count: number): Desired => ({
      kind: 'ready',
      data: data(Object.fromEntries(names.slice(0, count).map((name) => [name, '1']))),
      sources: new Map(names.slice(0, count).map((key) => [key, { store: 'vault', key, version: '1' }])),
      absent: [],
    });
    const fingerprints = createFingerprinter(SecretValue.fromBytes(new Uint8Array(32).fill(9)));
    const before = made({ ...input, desired: many(1_200) });
    expect(judged(before, { fingerprints, desired: many(1_200) })).toBe('unchanged -');
    expect(judged(before, { fingerprints, desired: many(1_199) })).toBe('update -');
  });

  it.each([
    ['of a value', { ...target, data: data({ a: 'theirs' }) }],
    ['of the keys', { ...target, data: data({ a: '1', b: 'theirs' }) }],
    ['that leaves nothing', { ...target, data: data({}) }],
    ['of a copy, of whose fields nobody notes the owner', { ...target, data: data({}), ours: undefined }],
    ['of a label of the mapping', touched('labels', { team: 'theirs' })],
    ['that takes a label away', touched('labels', { team: undefined })],
    ['of `managed-by`', touched('labels', { [LABEL.managedBy]: undefined })],
    ['of an annotation of the mapping', touched('annotations', { note: undefined })],
    ['of the fingerprint', touched('annotations', { [ANNOTATION.fingerprint]: undefined })],
    ['of the sources', touched('annotations', { [ANNOTATION.sources]: 'theirs' })],
    ['of the configuration hash', touched('annotations', { [ANNOTATION.config]: undefined })],
    [
      'of data and fingerprint together',
      { ...touched('annotations', { [ANNOTATION.fingerprint]: 'x' }), data: data({}) },
    ],
    ['of what happens at the end', touched('annotations', { [ANNOTATION.onMappingRemoved]: 'delete' })],
  ])('%s', (_, live) => {
    expect(judged(live)).toBe('update drift');
  });

  it('that made it of another type or immutable', () => {
    const recreate = mapping({ target: { ...input.mapping.target, recreate: true } });
    expect(judged({ ...target, type: 'theirs' }, { mapping: recreate })).toBe('recreate drift');
    expect(judged({ ...target, immutable: true }, { mapping: recreate })).toBe('recreate drift');
  });
});

describe('a difference is no drift', () => {
  it('when nothing differs', () => {
    expect(judged(target)).toBe('unchanged -');
    expect(judged({ ...target, labels: { ...target.labels, theirs: 'x' } })).toBe('unchanged -');
  });

  it.each([
    ['when the source has other data', { desired: ready('2', '2') }],
    ['when the source has other data under the same version', { desired: ready('2') }],
    ['when the source has another version of the same bytes', { desired: ready('1', '2') }],
    ['when the mapping wants other labels', { mapping: mapping({ target: { labels: { team: 'z' } } }) }],
    ['when the store is another', { stores: new Map([['vault', 'moved']]) }],
    ['when a policy changed', { mapping: { ...input.mapping, onMappingRemoved: 'delete' as const } }],
    ['when the instance has another name', { instance: 'new', formerInstances: ['prod'] }],
  ])('%s, whether or not somebody edited it as well', (_, other) => {
    expect(judged(target, other)).toBe('update -');
    expect(judged({ ...target, data: data({ a: 'theirs' }) }, other)).toBe('update -');
  });

  it('when the fingerprint was made under another key, and so was what its store gives for a version', () => {
    const fingerprints = createFingerprinter(SecretValue.fromBytes(new Uint8Array(32).fill(9)));
    const versionBy = (by: typeof fingerprints) => by.value(SecretValue.fromText('1'));
    const before = made({ ...input, desired: ready('1', versionBy(input.fingerprints)) });
    const now = { fingerprints, desired: ready('1', versionBy(fingerprints)) };
    expect(judged(before, now)).toBe('unchanged -');
    expect(judged({ ...before, data: data({ a: 'theirs' }) }, now)).toBe('update -');
  });

  it('when too little is left that could tell', () => {
    const names = [ANNOTATION.fingerprint, ANNOTATION.sources];
    const bare = touched('annotations', Object.fromEntries(names.map((name) => [name, undefined])));
    expect(judged(bare)).toBe('update -');
  });

  it('when it is adopted', () => {
    const foreign = { ...target, labels: {}, ours: undefined };
    expect(judged(foreign, { mapping: { ...input.mapping, onConflict: 'adopt' } })).toBe('update -');
  });
});
