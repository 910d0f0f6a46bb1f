import { describe, expect, it } from 'vitest';
import { ANNOTATION, LABEL, mergeAnnotation, mergeManager } from '../../src/sync/ownership-metadata.ts';
import { plan } from '../../src/sync/plan.ts';
import type { PlanInput } from '../../src/sync/plan-types.ts';
import { data, live, mapping, planInput, source } from './sample.ts';

const MERGE_ANNOTATION = mergeAnnotation('prod', 'app');

function merging(
  part: Partial<PlanInput> = {},
  values: Readonly<Record<string, string>> = { KEY: '1' },
): PlanInput {
  return planInput({
    mapping: mapping({ target: { mode: 'merge' }, data: { KEY: source() } }),
    desired: {
      kind: 'ready',
      data: data(values),
      sources: new Map(Object.keys(values).map((key) => [key, { store: 'vault', key: 'app', version: '1' }])),
      absent: [],
    },
    live: live({ data: data({ THEIRS: 't' }) }),
    ...part,
  });
}

/** Returns the Secret and our keys as they are after the plan. */
function carriedOut(input: PlanInput): Partial<PlanInput> {
  const done = plan(input);
  if (done.kind !== 'merge') throw new Error(`it is ${done.kind}`);
  const ours = [...done.manifest.data.keys()];
  const others = [...done.live.data].filter(([key]) => !input.merged.includes(key) || ours.includes(key));
  return {
    merged: ours,
    live: live({
      ...done.live,
      labels: { ...done.live.labels, ...done.manifest.labels },
      annotations: { ...done.live.annotations, ...done.manifest.annotations },
      data: new Map([...others, ...done.manifest.data]),
    }),
  };
}

describe('merge into a Secret', () => {
  it('a merge waits until somebody else creates the Secret', () => {
    expect(plan(merging({ live: undefined }))).toMatchObject({
      kind: 'fail',
      error: { code: 'SECRET_MISSING' },
    });
  });

  it('a merge adds our keys and records their sources, but adds no ownership labels', () => {
    const planned = plan(merging());
    expect(planned).toMatchObject({
      kind: 'merge',
      keys: [{ name: 'KEY', action: 'add' }],
      manifest: { manager: 'secretbridge.prod.app', labels: {}, data: data({ KEY: '1' }) },
    });
    if (planned.kind !== 'merge') return;
    expect(Object.keys(planned.manifest.annotations)).toEqual([MERGE_ANNOTATION]);
    const mark = JSON.parse(planned.manifest.annotations[MERGE_ANNOTATION] ?? '') as Record<string, string>;
    expect(mark).toMatchObject({ instance: 'prod', mapping: 'app', onMappingRemoved: 'keep' });
    expect(JSON.parse(mark.sources ?? '')).toEqual({ KEY: { store: 'vault', key: 'app', version: '1' } });
    expect(MERGE_ANNOTATION.length - MERGE_ANNOTATION.indexOf('/') - 1).toBeLessThanOrEqual(63);
  });

  it('a merge adds the labels and annotations that the mapping configures for the merge', () => {
    const target = { mode: 'merge', labels: { team: 'a' }, annotations: { note: 'b' } } as const;
    const planned = plan(merging({ mapping: mapping({ target }) }));
    expect(planned).toMatchObject({
      kind: 'merge',
      manifest: { labels: { team: 'a' }, annotations: { note: 'b' } },
    });
  });

  it('a merge changes nothing in a second run', () => {
    const input = merging();
    expect(plan(merging(carriedOut(input)))).toMatchObject({
      kind: 'unchanged',
      keys: [{ name: 'KEY', action: 'keep' }],
    });
  });

  it('a merge changes and removes only keys that we added', () => {
    const done = carriedOut(merging({}, { KEY: '1', OLD: '2' }));
    expect(plan(merging(done, { KEY: 'new' }))).toMatchObject({
      kind: 'merge',
      keys: [
        { name: 'KEY', action: 'change' },
        { name: 'OLD', action: 'remove' },
      ],
    });
  });

  it('a merge shares a key with other managers if they own the key with the value that we want', () => {
    const shared = live({ data: data({ KEY: '1', THEIRS: 't' }) });
    expect(plan(merging({ live: shared }))).toMatchObject({
      kind: 'merge',
      keys: [{ name: 'KEY', action: 'add' }],
    });
  });

  it('a merge is refused if other managers own one of our keys with another value', () => {
    const held = live({ data: data({ KEY: 'theirs', THEIRS: 't' }) });
    expect(plan(merging({ live: held }))).toMatchObject({
      kind: 'refuse',
      error: { code: 'CONFLICT', detail: 'others hold KEY with another value' },
    });
    // Somebody edited one of our keys, so the API server assigns this key to that person's field manager.
    expect(plan(merging({ ...carriedOut(merging()), live: held, merged: [] }))).toMatchObject({
      error: { code: 'CONFLICT' },
    });
  });

  it('a merge has the same result for any owner of the Secret', () => {
    const controlled = live({ controlled: true, data: data({ THEIRS: 't' }) });
    expect(plan(merging({ live: controlled })).kind).toBe('merge');
  });

  it('a merge is refused if a mapping owns the Secret, because the owner would remove the merged keys', () => {
    const labels = { [LABEL.instance]: 'prod', [LABEL.mapping]: 'other' };
    expect(plan(merging({ live: live({ labels }) }))).toMatchObject({
      kind: 'refuse',
      error: { code: 'TARGET_CLAIMED' },
    });
    // If this mapping still owned the Secret, the end of the merge would delete the whole Secret.
    const own = { [LABEL.instance]: 'prod', [LABEL.mapping]: 'app' };
    expect(plan(merging({ live: live({ labels: own }) }))).toMatchObject({
      kind: 'refuse',
      error: { code: 'TARGET_CLAIMED', detail: expect.stringContaining('owns the whole Secret') },
    });
  });

  it('a merge is refused if another merge uses an equal field manager, because their keys could not be distinguished', () => {
    const named = (instance: string, name: string): PlanInput =>
      merging({ instance, mapping: mapping({ name, target: { mode: 'merge' }, data: { KEY: source() } }) });
    const first = named('a', 'b.c');
    const { live: after } = carriedOut(first);
    expect(plan({ ...named('a.b', 'c'), live: after, merged: ['KEY'] })).toMatchObject({
      kind: 'refuse',
      error: { code: 'TARGET_CLAIMED', detail: expect.stringContaining('instance a, mapping b.c') },
    });
    expect(plan({ ...named('a', 'b.d'), live: after }).kind).toBe('merge');
    expect(plan({ ...first, ...carriedOut(first) }).kind).toBe('unchanged');
  });

  it('a merge is refused if the type of the Secret forbids one of our keys, but not if it forbids keys of other owners', () => {
    const [crt, key] = [{ 'tls.crt': 'no certificate' }, { 'tls.key': 'no key' }];
    const tls = (held: Record<string, string>) =>
      live({ type: 'kubernetes.io/tls', data: data({ ...held }) });
    const given = (values: Record<string, string>, held: Record<string, string>) =>
      plan(merging({ live: tls(held) }, values));
    expect(given({ ...crt, ...key }, {})).toMatchObject({ kind: 'refuse', error: { code: 'TLS_MISMATCH' } });
    expect(given(crt, key)).toMatchObject({ kind: 'refuse', error: { code: 'TLS_MISMATCH' } });
    expect(given(crt, {})).toMatchObject({ kind: 'refuse', error: { code: 'TYPE_KEYS_MISSING' } });
    expect(given({ 'ca.crt': 'x' }, { ...crt, ...key }).kind).toBe('merge');
  });

  it('a merge is held if it would remove all our keys, and the Secret stays unchanged', () => {
    const done = carriedOut(merging());
    expect(plan(merging(done, {}))).toMatchObject({
      kind: 'hold',
      keys: [{ name: 'KEY', action: 'remove' }],
      error: { code: 'HELD' },
      ending: { manager: 'secretbridge.prod.app', labels: {}, annotations: {}, data: new Map() },
    });
    expect(plan(merging({}, {})).kind).toBe('merge');
  });

  it('a merge that would remove all our keys is held even if all sources are proved absent, unless the Secret is immutable', () => {
    const absentInput = {
      ...carriedOut(merging()),
      mapping: mapping({ target: { mode: 'merge' }, data: { KEY: source() }, onSourceMissing: 'delete' }),
      desired: { kind: 'ready', data: new Map(), sources: new Map(), absent: [source()] },
    } as const;
    expect(plan(merging(absentInput))).toMatchObject({ kind: 'fail', error: { code: 'SOURCE_ABSENT' } });
    const proved = { ...absentInput, isProvenAbsent: () => true };
    expect(plan(merging(proved))).toMatchObject({ kind: 'hold' });
    const fixed = live({ ...absentInput.live, immutable: true });
    expect(plan(merging({ ...proved, live: fixed }))).toMatchObject({
      kind: 'refuse',
      error: { code: 'IMMUTABLE' },
    });
  });

  it('a merge keeps the key of a missing optional source even if somebody removed our annotation', () => {
    const optional = source({ optional: true });
    const done = carriedOut(merging({}, { KEY: '1', OTHER: '2' }));
    const absentInput = {
      ...done,
      live: live({ ...done.live, annotations: {} }),
      mapping: mapping({ target: { mode: 'merge' }, data: { KEY: optional } }),
      desired: { kind: 'ready', data: data({ OTHER: '2' }), sources: new Map(), absent: [optional] },
    } as const;
    for (const proven of [() => false, () => true])
      expect(plan(merging({ ...absentInput, isProvenAbsent: proven }))).toMatchObject({
        kind: 'fail',
        error: { code: 'SOURCE_ABSENT' },
      });
    // Keys that we never added need no proof of absence.
    expect(plan(merging({ ...absentInput, merged: [] }))).toMatchObject({ kind: 'merge' });
  });

  it('a merge keeps the key of a missing source until the absence is proved and the mapping allows the removal', () => {
    const done = carriedOut(merging({}, { KEY: '1', OTHER: '2' }));
    const absentInput = {
      ...done,
      desired: { kind: 'ready', data: data({ OTHER: '2' }), sources: new Map(), absent: [source()] },
    } as const;
    expect(plan(merging(absentInput))).toMatchObject({ kind: 'fail', error: { code: 'SOURCE_ABSENT' } });
    const removing = mapping({
      target: { mode: 'merge' },
      data: { KEY: source() },
      onSourceMissing: 'removeKeys',
    });
    expect(plan(merging({ ...absentInput, mapping: removing }))).toMatchObject({ kind: 'fail' });
    expect(plan(merging({ ...absentInput, mapping: removing, isProvenAbsent: () => true }))).toMatchObject({
      kind: 'merge',
      keys: [
        { name: 'KEY', action: 'remove' },
        { name: 'OTHER', action: 'keep' },
      ],
    });
  });

  it('a merge changes no data of an immutable Secret, and adds no key to a Secret that grants access', () => {
    expect(plan(merging({ live: live({ immutable: true }) }))).toMatchObject({
      kind: 'refuse',
      error: { code: 'IMMUTABLE' },
    });
    const same = live({ immutable: true, data: data({ KEY: '1' }) });
    expect(plan(merging({ live: same })).kind).toBe('merge');
    const token = live({ type: 'kubernetes.io/service-account-token' });
    expect(plan(merging({ live: token }))).toMatchObject({
      kind: 'refuse',
      error: { code: 'TYPE_FORBIDDEN' },
    });
  });

  it('a merge counts the keys of other owners toward the limit of 1 MiB', () => {
    const half = 'x'.repeat(512 * 1024);
    const full = live({ data: data({ THEIRS: half }) });
    expect(plan(merging({ live: full }, { KEY: half })).kind).toBe('merge');
    expect(plan(merging({ live: full }, { KEY: `${half}x` }))).toMatchObject({
      kind: 'refuse',
      error: { code: 'TOO_LARGE' },
    });
  });

  it('a merge ignores a damaged annotation, and writes a correct annotation', () => {
    const done = carriedOut(merging());
    for (const text of ['', '{', '[]', 'null', '{"sources":1}'])
      expect(
        plan(merging({ ...done, live: live({ ...done.live, annotations: { [MERGE_ANNOTATION]: text } }) }))
          .kind,
      ).toBe('merge');
  });

  it('a merge does not write the Secret again if only the fingerprint key changed', () => {
    const input = merging();
    const other = '0'.repeat(8);
    const done = carriedOut(input);
    const text = done.live?.annotations[MERGE_ANNOTATION] ?? '';
    const mark = JSON.parse(text) as Record<string, string>;
    const renewed = JSON.stringify({ ...mark, fingerprint: `${other}${mark.fingerprint?.slice(8)}` });
    const elsewhere = live({ ...done.live, annotations: { [MERGE_ANNOTATION]: renewed } });
    expect(plan(merging({ ...done, live: elsewhere })).kind).toBe('unchanged');
  });
});

describe('merge made under an old instance name', () => {
  /**
   * Returns the input for an instance that was renamed after it had merged keys into the Secret. Its former name is
   * `old`.
   */
  function renamed(values: Readonly<Record<string, string>>, part: Partial<PlanInput> = {}): PlanInput {
    const { merged = [], live: before } = carriedOut(merging({ ...part, instance: 'old' }));
    const former = [{ instance: 'old', mapping: 'app', keys: merged }];
    return merging({ ...part, live: before, former, formerInstances: ['old'] }, values);
  }

  it.each([
    ['change', 'new'],
    ['keep', '1'],
  ])(
    'after the instance was renamed, a merge first takes over the keys with unchanged data, then the old field manager releases the keys: %s',
    (action, value) => {
      const planned = plan(renamed({ KEY: value }));
      expect(planned).toMatchObject({
        kind: 'merge',
        keys: [{ name: 'KEY', action }],
        drift: false,
        first: [
          { manager: 'secretbridge.prod.app', data: data({ KEY: '1' }) },
          { manager: 'secretbridge.old.app', labels: {}, annotations: {}, data: new Map() },
        ],
        manifest: { manager: 'secretbridge.prod.app', data: data({ KEY: value }) },
      });
    },
  );

  it('after the instance was renamed, a merge copies its annotation from the old instance name to the new instance name', () => {
    const input = renamed({ KEY: 'new' });
    const planned = plan(input);
    if (planned.kind !== 'merge') throw new Error(`it is ${planned.kind}`);
    const markIn = (text: string | undefined) => JSON.parse(text ?? '') as Record<string, string>;
    const before = markIn(input.live?.annotations[mergeAnnotation('old', 'app')]);
    expect(markIn(planned.first[0]?.annotations[MERGE_ANNOTATION])).toEqual({ ...before, instance: 'prod' });
    expect(markIn(planned.manifest.annotations[MERGE_ANNOTATION]).fingerprint).not.toBe(before.fingerprint);
  });

  it('after the instance was renamed, a merge first takes over only the labels and annotations that already exist', () => {
    const target = (team: string) =>
      mapping({ target: { mode: 'merge', labels: { team, app: 'x' }, annotations: { note: team } } });
    const planned = plan({ ...renamed({ KEY: '1' }, { mapping: target('a') }), mapping: target('b') });
    if (planned.kind !== 'merge') throw new Error(`it is ${planned.kind}`);
    expect(planned.first[0]).toMatchObject({ labels: { app: 'x' } });
    expect(Object.keys(planned.first[0]?.annotations ?? {})).toEqual([MERGE_ANNOTATION]);
    expect(planned.manifest).toMatchObject({ labels: { team: 'b', app: 'x' }, annotations: { note: 'b' } });
  });

  it('after the instance was renamed, a merge removes only keys that are proved absent, and removes all keys only after a release', () => {
    const absentInput = {
      ...renamed({}),
      desired: { kind: 'ready', data: new Map(), sources: new Map(), absent: [source()] },
    } as const;
    expect(plan(absentInput)).toMatchObject({ kind: 'fail', error: { code: 'SOURCE_ABSENT' } });
    expect(plan(renamed({}))).toMatchObject({
      kind: 'hold',
      ending: { manager: 'secretbridge.old.app', data: new Map() },
    });
  });

  it('a merge of another instance is treated as foreign if that instance is not in the list of former instances', () => {
    const { former: _, ...input } = renamed({ KEY: 'new' });
    expect(plan(input)).toMatchObject({ kind: 'refuse', error: { code: 'CONFLICT' } });
  });
});

describe('merge of an orphaned mapping', () => {
  const left = (values: Readonly<Record<string, string>>, keys: readonly string[]): PlanInput => {
    const before = carriedOut(merging({ mapping: mapping({ name: 'before', target: { mode: 'merge' } }) }));
    return merging({ live: before.live, orphaned: [{ instance: 'prod', mapping: 'before', keys }] }, values);
  };

  it('a mapping takes over an orphaned merge if the mapping has all keys of that merge', () => {
    expect(plan(left({ KEY: 'new', MORE: 'x' }, ['KEY']))).toMatchObject({
      kind: 'merge',
      keys: [
        { name: 'KEY', action: 'change' },
        { name: 'MORE', action: 'add' },
      ],
      first: [
        { manager: 'secretbridge.prod.app', data: data({ KEY: '1' }) },
        { manager: 'secretbridge.prod.before', data: new Map() },
      ],
    });
  });

  it('a mapping does not take over an orphaned merge if the mapping lacks a key of that merge', () => {
    expect(plan(left({ KEY: 'new' }, ['KEY', 'KEPT']))).toMatchObject({
      kind: 'refuse',
      error: { code: 'CONFLICT' },
    });
  });

  it('a mapping ignores an orphaned merge without keys', () => {
    const planned = plan(left({ MORE: 'x' }, []));
    expect(planned).toMatchObject({ kind: 'merge', keys: [{ name: 'MORE', action: 'add' }], first: [] });
  });
});

describe('field manager of a merge', () => {
  it('the field manager of a merge is named after instance and mapping, with a name short enough for the API server', () => {
    expect(mergeManager('prod-eu', 'payments')).toBe('secretbridge.prod-eu.payments');
    const [long, longer] = [
      mergeManager('i'.repeat(63), 'm'.repeat(63)),
      mergeManager('i'.repeat(63), 'n'.repeat(63)),
    ];
    expect(long.length).toBeLessThanOrEqual(128);
    expect(long).not.toBe(longer);
    expect(mergeAnnotation('a', 'b')).not.toBe(mergeAnnotation('a', 'c'));
  });

  it('a merge is recorded in an annotation that owned targets do not have', () => {
    expect(Object.values(ANNOTATION)).not.toContain(MERGE_ANNOTATION);
  });
});
