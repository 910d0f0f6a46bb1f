import { describe, expect, it } from 'vitest';
import { createFingerprinter, type Fingerprinter } from '../../src/core/fingerprint.ts';
import type { LiveSecret } from '../../src/core/secret.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import type { Desired } from '../../src/sync/desired.ts';
import { ANNOTATION, LABEL } from '../../src/sync/ownership-metadata.ts';
import { plan } from '../../src/sync/plan.ts';
import type { PlanInput } from '../../src/sync/plan-types.ts';
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

/**
 * Returns the state on the API server after somebody else changed metadata. The changed fields no longer belong to us.
 */
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

/** Returns the kind of the plan, and whether the difference counts as drift. */
function planKind(live: LiveSecret, other: Partial<PlanInput> = {}): string {
  const result = plan({ ...input, ...other, live });
  return `${result.kind} ${'drift' in result && result.drift ? 'drift' : '-'}`;
}

describe('drift', () => {
  it('an edit counts as drift if the source versions are unchanged, even if the fingerprint was made with another key', () => {
    const fingerprints = createFingerprinter(SecretValue.fromBytes(new Uint8Array(32).fill(9)));
    expect(planKind(target, { fingerprints })).toBe('unchanged -');
    expect(planKind({ ...target, data: data({ a: 'theirs' }) }, { fingerprints })).toBe('update drift');
    const rotated = { fingerprints, desired: ready('2', '2') };
    expect(planKind({ ...target, data: data({ a: 'theirs' }) }, rotated)).toBe('update -');
  });

  it('drift is detected with the older fingerprint key if the source versions are themselves fingerprints', () => {
    const bytes = (n: number) => SecretValue.fromBytes(new Uint8Array(32).fill(n));
    const [older, newer] = [createFingerprinter(bytes(8)), createFingerprinter(bytes(9), [bytes(8)])];
    const at = (fingerprints: Fingerprinter, text: string) => ({
      fingerprints,
      desired: ready(text, fingerprints.value(SecretValue.fromText(text))),
    });
    const written = made({ ...input, ...at(older, '1') });
    const edited = { ...written, data: data({ a: 'theirs' }) };
    expect(planKind(written, at(newer, '1'))).toBe('unchanged -');
    expect(planKind(edited, at(newer, '1'))).toBe('update drift');
    expect(planKind(edited, at(newer, '2'))).toBe('update -');
    expect(planKind(written, at(newer, '2'))).toBe('update -');
    expect(planKind(edited, at(createFingerprinter(bytes(9)), '1'))).toBe('update -');
  });

  it('drift is not reported if only the fingerprint key changed, even if there are too many sources to record', () => {
    const names = Array.from({ length: 1_200 }, (_, n) => `a-source-with-a-long-name-${n}`);
    const many = (count: number): Desired => ({
      kind: 'ready',
      data: data(Object.fromEntries(names.slice(0, count).map((name) => [name, '1']))),
      sources: new Map(names.slice(0, count).map((key) => [key, { store: 'vault', key, version: '1' }])),
      absent: [],
    });
    const fingerprints = createFingerprinter(SecretValue.fromBytes(new Uint8Array(32).fill(9)));
    const before = made({ ...input, desired: many(1_200) });
    expect(planKind(before, { fingerprints, desired: many(1_200) })).toBe('unchanged -');
    expect(planKind(before, { fingerprints, desired: many(1_199) })).toBe('update -');
  });

  it.each([
    ['changes a value', { ...target, data: data({ a: 'theirs' }) }],
    ['changes the keys', { ...target, data: data({ a: '1', b: 'theirs' }) }],
    ['removes every key', { ...target, data: data({}) }],
    ['changes a copy without recorded field owners', { ...target, data: data({}), ours: undefined }],
    ['changes a label of the mapping', touched('labels', { team: 'theirs' })],
    ['removes a label', touched('labels', { team: undefined })],
    ['removes `managed-by`', touched('labels', { [LABEL.managedBy]: undefined })],
    ['changes an annotation of the mapping', touched('annotations', { note: undefined })],
    ['changes the fingerprint', touched('annotations', { [ANNOTATION.fingerprint]: undefined })],
    ['changes the sources', touched('annotations', { [ANNOTATION.sources]: 'theirs' })],
    ['changes the configuration hash', touched('annotations', { [ANNOTATION.config]: undefined })],
    [
      'changes data and fingerprint',
      { ...touched('annotations', { [ANNOTATION.fingerprint]: 'x' }), data: data({}) },
    ],
    ['changes onMappingRemoved', touched('annotations', { [ANNOTATION.onMappingRemoved]: 'delete' })],
  ])('drift is detected if somebody %s', (_, live) => {
    expect(planKind(live)).toBe('update drift');
  });

  it('drift is detected if somebody changed the type or the field `immutable`', () => {
    const recreate = mapping({ target: { ...input.mapping.target, recreate: true } });
    expect(planKind({ ...target, type: 'theirs' }, { mapping: recreate })).toBe('recreate drift');
    expect(planKind({ ...target, immutable: true }, { mapping: recreate })).toBe('recreate drift');
  });
});

describe('difference that does not count as drift', () => {
  it('drift is not reported if the target is equal to the desired state', () => {
    expect(planKind(target)).toBe('unchanged -');
    expect(planKind({ ...target, labels: { ...target.labels, theirs: 'x' } })).toBe('unchanged -');
  });

  it.each([
    ['when the source has other data', { desired: ready('2', '2') }],
    ['when the source has other data under the same version', { desired: ready('2') }],
    ['when the source has another version of the same bytes', { desired: ready('1', '2') }],
    ['when the mapping wants other labels', { mapping: mapping({ target: { labels: { team: 'z' } } }) }],
    ['when the store has another definition', { stores: new Map([['vault', 'moved']]) }],
    ['when a policy changed', { mapping: { ...input.mapping, onMappingRemoved: 'delete' as const } }],
    ['when the instance has another name', { instance: 'new', formerInstances: ['prod'] }],
  ])('a difference does not count as drift %s, with or without a manual edit', (_, other) => {
    expect(planKind(target, other)).toBe('update -');
    expect(planKind({ ...target, data: data({ a: 'theirs' }) }, other)).toBe('update -');
  });

  it('drift is not assumed if both the fingerprint and the source versions were made with another key', () => {
    const fingerprints = createFingerprinter(SecretValue.fromBytes(new Uint8Array(32).fill(9)));
    const versionBy = (by: typeof fingerprints) => by.value(SecretValue.fromText('1'));
    const before = made({ ...input, desired: ready('1', versionBy(input.fingerprints)) });
    const now = { fingerprints, desired: ready('1', versionBy(fingerprints)) };
    expect(planKind(before, now)).toBe('unchanged -');
    expect(planKind({ ...before, data: data({ a: 'theirs' }) }, now)).toBe('update -');
  });

  it('drift is not assumed if the annotations do not show our last write', () => {
    const names = [ANNOTATION.fingerprint, ANNOTATION.sources];
    const bare = touched('annotations', Object.fromEntries(names.map((name) => [name, undefined])));
    expect(planKind(bare)).toBe('update -');
  });

  it('drift is not assumed if the target is adopted', () => {
    const foreign = { ...target, labels: {}, ours: undefined };
    expect(planKind(foreign, { mapping: { ...input.mapping, onConflict: 'adopt' } })).toBe('update -');
  });
});
