import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { createFingerprinter } from '../../src/core/fingerprint.ts';
import type { LiveSecret } from '../../src/core/secret.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import type { Desired } from '../../src/sync/desired.ts';
import { ANNOTATION, LABEL } from '../../src/sync/ownership-metadata.ts';
import { plan, planRemoval } from '../../src/sync/plan.ts';
import type { PlanInput } from '../../src/sync/plan-types.ts';
import { applied, data, live, mapping, planInput } from './sample.ts';

function ready(entries: Readonly<Record<string, string>>, version = '1'): Desired {
  const sources = Object.keys(entries).map(
    (key) => [key, { store: 'vault', key: 'app', property: key, version }] as const,
  );
  return { kind: 'ready', data: data(entries), sources: new Map(sources), absent: [] };
}

/** Returns the target that this input creates in an empty cluster. */
function made(input: PlanInput): LiveSecret {
  const result = plan({ ...input, live: undefined });
  if (result.kind !== 'create') throw new Error(`expected a create, got ${result.kind}`);
  return applied(result.manifest);
}

function actions(result: ReturnType<typeof plan>): Record<string, string> {
  return Object.fromEntries(result.keys.map(({ name, action }) => [name, action]));
}

describe('a managed target', () => {
  const input = planInput({ desired: ready({ a: '1', b: '2' }) });

  it('a plan creates a target with labels and annotations that contain no secret value', () => {
    const result = plan(input);
    expect(result.kind).toBe('create');
    expect(actions(result)).toEqual({ a: 'add', b: 'add' });
    const { labels, annotations } = made(input);
    expect(labels).toEqual({
      'app.kubernetes.io/managed-by': 'secretbridge',
      'secretbridge.dev/instance': 'prod',
      'secretbridge.dev/mapping': 'app',
    });
    expect(JSON.parse(annotations[ANNOTATION.sources] ?? '')).toEqual({
      a: { store: 'vault', key: 'app', property: 'a', version: '1' },
      b: { store: 'vault', key: 'app', property: 'b', version: '1' },
    });
    expect(annotations[ANNOTATION.fingerprint]).toMatch(/^[0-9a-f]{8}:[0-9a-f]{64}$/);
    expect(annotations['secretbridge.dev/on-mapping-removed']).toBe('keep');
  });

  it('a plan updates a target, and plans only the keys that differ', () => {
    const result = plan({ ...input, live: made(input), desired: ready({ a: '1', b: 'new', c: '3' }) });
    expect(result.kind).toBe('update');
    expect(actions(result)).toEqual({ a: 'keep', b: 'change', c: 'add' });
    expect(actions(plan({ ...input, live: made(input), desired: ready({ a: '1' }) }))).toEqual({
      a: 'keep',
      b: 'remove',
    });
  });

  it('a plan writes new annotations but keeps every key if a new version of a source has identical bytes', () => {
    const result = plan({ ...input, live: made(input), desired: ready({ a: '1', b: '2' }, '2') });
    expect(result.kind).toBe('update');
    expect(actions(result)).toEqual({ a: 'keep', b: 'keep' });
  });

  it('a plan makes a target immutable again if somebody replaced it with a mutable Secret', () => {
    const fixed = { ...input, mapping: mapping({ target: { ...input.mapping.target, immutable: true } }) };
    const target = made(fixed);
    expect(plan({ ...fixed, live: target }).kind).toBe('unchanged');
    const result = plan({ ...fixed, live: { ...target, immutable: false } });
    expect(result).toMatchObject({ kind: 'update', drift: true, change: { immutable: true } });
  });

  it('a plan does not delete a target if its labels name another instance or no mapping', () => {
    const target = made(input);
    expect(planRemoval(target, input).kind).toBe('delete');
    const others = { ...target.labels, [LABEL.instance]: 'other' };
    const { [LABEL.mapping]: _, ...stripped } = target.labels;
    for (const labels of [others, stripped])
      expect(planRemoval({ ...target, labels }, input)).toMatchObject({
        kind: 'refuse',
        error: { code: 'NOT_OWNED' },
      });
  });

  it.each([
    [[LABEL.instance], '`secretbridge.dev/instance: prod`'],
    [[LABEL.mapping], '`secretbridge.dev/mapping: app`'],
    [
      [LABEL.instance, LABEL.mapping],
      '`secretbridge.dev/instance: prod` and `secretbridge.dev/mapping: app`',
    ],
  ])(
    'a plan refuses a target if somebody removed our labels %j, with instructions to take over the target again',
    (removedLabels, back) => {
      const target = made(input);
      const labels = Object.fromEntries(
        Object.entries(target.labels).filter(
          ([name]) => !(removedLabels as readonly string[]).includes(name),
        ),
      );
      const result = plan({ ...input, live: { ...target, labels } });
      expect(result).toMatchObject({
        kind: 'refuse',
        error: {
          code: 'NOT_OWNED',
          detail: expect.stringContaining('until somebody removed'),
          remedy: expect.stringContaining(back),
        },
      });
      // For a Secret that we never wrote, the error contains no detail.
      const theirs = plan({ ...input, live: { ...target, labels: {}, ours: undefined } });
      expect(theirs).toMatchObject({ kind: 'refuse', error: { code: 'NOT_OWNED', detail: undefined } });
    },
  );

  it('a plan does not write a target for a change of refresh, of a policy or of a foreign label', () => {
    const target = made(input);
    const foreign = {
      ...target,
      labels: { ...target.labels, theirs: 'x' },
      annotations: { ...target.annotations, x: 'y' },
    };
    const patient = mapping({ refreshMs: 1, onConflict: 'adopt', maxAgeMs: 5 });
    expect(plan({ ...input, mapping: patient, live: foreign }).kind).toBe('unchanged');
  });

  it('a plan removes a label that we set and no longer want, but keeps foreign labels', () => {
    const labelled = { ...input, mapping: mapping({ target: { labels: { team: 'a' } } }) };
    const target = made(labelled);
    const result = plan({ ...input, live: { ...target, labels: { ...target.labels, theirs: 'x' } } });
    expect(result).toMatchObject({ kind: 'update', change: { dropLabels: ['team'] } });
  });

  it.each(['constructor', 'toString'])(
    'a plan removes an unwanted annotation even if it is named %s',
    (name) => {
      const target = made({ ...input, mapping: mapping({ target: { annotations: { [name]: 'x' } } }) });
      expect(plan({ ...input, live: target })).toMatchObject({
        kind: 'update',
        change: { dropAnnotations: [name] },
      });
    },
  );

  it('a plan does not write a target if only the fingerprint key differs', () => {
    const other = createFingerprinter(SecretValue.fromBytes(new Uint8Array(32).fill(9)));
    const version = (key: typeof other) => key.value(SecretValue.fromText('1'));
    const before = { ...input, desired: ready({ a: '1' }, version(other)), fingerprints: other };
    const now = { ...input, desired: ready({ a: '1' }, version(input.fingerprints)) };
    expect(plan({ ...now, live: made(before) }).kind).toBe('unchanged');
    const changed = plan({ ...now, desired: ready({ a: '2' }, 'x'), live: made(before) });
    expect(changed.kind === 'update' && changed.change.annotations[ANNOTATION.fingerprint]).toMatch(
      new RegExp(`^${input.fingerprints.keyId}:`),
    );
  });

  it('a plan updates a target if somebody edited the annotation with the fingerprint', () => {
    const target = made(input);
    const edited = {
      ...target.annotations,
      [ANNOTATION.fingerprint]: `${input.fingerprints.keyId}:${'0'.repeat(64)}`,
    };
    expect(plan({ ...input, live: { ...target, annotations: edited } }).kind).toBe('update');
  });

  it('a plan holds a target if no key would be left', () => {
    expect(plan({ ...input, live: made(input), desired: ready({}) })).toMatchObject({
      kind: 'hold',
      error: { code: 'HELD' },
    });
  });

  it('a plan does not change a target while the API server is deleting it', () => {
    expect(plan({ ...input, live: { ...made(input), deleting: true } })).toMatchObject({
      kind: 'fail',
      error: { code: 'CONFLICT', remedy: expect.stringContaining('finalizers') },
    });
  });

  it.each([
    ['another type', { type: 'example.com/x' }, { a: '1', b: '2' }],
    ['new data for an immutable target', { immutable: true }, { a: '1', b: 'new' }],
    ['removing the immutable field', { immutable: true }, { a: '1', b: '2' }],
  ])('a plan refuses a change that needs `recreate`: %s', (_, part, entries) => {
    const result = plan({ ...input, live: { ...made(input), ...part }, desired: ready(entries) });
    expect(result).toMatchObject({ kind: 'refuse', error: { code: 'IMMUTABLE' } });
  });

  it.each([
    ['refuse', made(input)],
    ['adopt', { ...made(input), labels: {}, ours: undefined }],
  ] as const)(
    'a plan refuses a target if somebody made it immutable, and the error shows this cause (onConflict: %s)',
    (onConflict, live) => {
      const result = plan({ ...input, mapping: mapping({ onConflict }), live: { ...live, immutable: true } });
      const remedy = expect.stringContaining('`target.immutable: true`') as unknown;
      expect(result).toMatchObject({ kind: 'refuse', error: { code: 'IMMUTABLE', remedy } });
      const kept = mapping({ onConflict, target: { immutable: true } });
      const nextPlan = plan({ ...input, mapping: kept, live: { ...live, immutable: true } });
      expect(nextPlan.kind).toBe('update');
    },
  );

  it('a plan never recreates a Secret that does not belong to us, and explains why in the error', () => {
    const { labels: _, ours: __, ...theirs } = made(input);
    const adopting = mapping({ onConflict: 'adopt', target: { recreate: true } });
    const result = plan({
      ...input,
      mapping: adopting,
      live: { ...theirs, labels: {}, ours: undefined, type: 'example.com/x' },
    });
    expect(result).toMatchObject({
      kind: 'refuse',
      error: { code: 'IMMUTABLE', remedy: expect.stringContaining('Delete the Secret yourself') },
    });
  });

  it('a plan adds the label with the new instance name to a target that has a label with an old name of the instance', () => {
    const former = made({ ...input, instance: 'old' });
    expect(plan({ ...input, formerInstances: ['old'], live: former })).toMatchObject({
      kind: 'update',
      change: { labels: { [LABEL.instance]: 'prod' } },
    });
  });

  it('a plan records only the number of sources if the list of sources needs more than 64 KiB', () => {
    const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`key-${index}`, 'x']));
    const { annotations } = made({ ...input, desired: ready(many) });
    expect(JSON.parse(annotations[ANNOTATION.sources] ?? '')).toEqual({
      count: 1_000,
      fingerprint: expect.stringMatching(/^[0-9a-f]{8}:/),
    });
  });
});

describe('a foreign Secret', () => {
  const input = planInput({ desired: ready({ a: '1' }) });
  const foreign = live({ data: data({ a: '1', old: 'x' }) });

  it('a plan refuses a foreign Secret', () => {
    expect(plan({ ...input, live: foreign })).toMatchObject({ kind: 'refuse', error: { code: 'NOT_OWNED' } });
  });

  it('a plan adopts a foreign Secret if the mapping allows it, and shows the keys that the adoption removes', () => {
    const result = plan({ ...input, mapping: mapping({ onConflict: 'adopt' }), live: foreign });
    expect(result).toMatchObject({ kind: 'update', adopts: true, change: { dropOwners: false } });
    expect(actions(result)).toEqual({ a: 'keep', old: 'remove' });
  });

  it('a plan refuses to adopt a foreign Secret with an owner reference unless the mapping has `onConflict: adoptAndDropOwner`', () => {
    const controlled = { ...foreign, controlled: true };
    expect(plan({ ...input, mapping: mapping({ onConflict: 'adopt' }), live: controlled })).toMatchObject({
      kind: 'refuse',
      error: { code: 'NOT_OWNED' },
    });
    expect(
      plan({ ...input, mapping: mapping({ onConflict: 'adoptAndDropOwner' }), live: controlled }),
    ).toMatchObject({
      kind: 'update',
      change: { dropOwners: true },
    });
  });

  it.each([LABEL.instance, LABEL.mapping])(
    'a plan refuses a target that we created if the label %s is missing',
    (label) => {
      const target = made(input);
      const labels = Object.fromEntries(Object.entries(target.labels).filter(([name]) => name !== label));
      expect(plan({ ...input, live: { ...target, labels } })).toMatchObject({
        kind: 'refuse',
        error: { code: 'NOT_OWNED' },
      });
    },
  );

  it('a plan refuses a Secret of another instance as claimed, even with `adopt`', () => {
    const other = made({ ...input, instance: 'other' });
    expect(plan({ ...input, mapping: mapping({ onConflict: 'adopt' }), live: other })).toMatchObject({
      kind: 'refuse',
      error: { code: 'TARGET_CLAIMED' },
    });
  });

  it('a plan refuses a Secret while another mapping has it as a target, and takes over the Secret after that mapping is gone', () => {
    const other = made({ ...input, mapping: mapping({ name: 'first' }) });
    const refused = plan({ ...input, live: other, isDesiredBy: (name) => name === 'first' });
    expect(refused).toMatchObject({ kind: 'refuse', error: { code: 'TARGET_CLAIMED' } });
    expect(plan({ ...input, live: other }).kind).toBe('update');
  });
});

describe('plan after a failed read', () => {
  it('a plan reports a failed read, but reports a foreign Secret first', () => {
    const failed: Desired = { kind: 'failed', error: new AppError('TIMEOUT') };
    expect(plan(planInput({ desired: failed }))).toMatchObject({ kind: 'fail', error: { code: 'TIMEOUT' } });
    expect(plan(planInput({ desired: failed, live: live() }))).toMatchObject({
      error: { code: 'NOT_OWNED' },
    });
  });
});

describe('content that the API server would reject', () => {
  const { privateKey } = generateKeyPairSync('ed25519');
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

  it.each([
    ['too much', 'Opaque', { a: 'x'.repeat(600_000), b: 'y'.repeat(500_000) }, 'TOO_LARGE'],
    ['a token', 'kubernetes.io/service-account-token', { token: 'x' }, 'TYPE_FORBIDDEN'],
    ['a bootstrap token', 'bootstrap.kubernetes.io/token', { token: 'x' }, 'TYPE_FORBIDDEN'],
    ['no key', 'kubernetes.io/tls', { 'tls.crt': 'x' }, 'TYPE_KEYS_MISSING'],
    ['no certificate', 'kubernetes.io/tls', { 'tls.crt': 'x', 'tls.key': pem }, 'TLS_MISMATCH'],
    ['no user', 'kubernetes.io/basic-auth', { other: 'x' }, 'TYPE_KEYS_MISSING'],
    ['no key file', 'kubernetes.io/ssh-auth', {}, 'TYPE_KEYS_MISSING'],
    ['no JSON', 'kubernetes.io/dockerconfigjson', { '.dockerconfigjson': 'x' }, 'TYPE_KEYS_MISSING'],
  ])('a plan refuses content that the API server would reject: %s', (_, type, entries, code) => {
    const result = plan(planInput({ mapping: mapping({ target: { type } }), desired: ready(entries) }));
    expect(result).toMatchObject({ kind: 'refuse', error: { code } });
  });
});
