import { describe, expect, it } from 'vitest';
import { applyTimes } from './apply-times.ts';
import { compareTeam, type TeamInput, type TeamReality } from './compare.ts';
import {
  findBrakeViolations,
  findForeignReads,
  findForeignValues,
  findForeignWrites,
  findWrongDeletions,
  type SecretChange,
} from './isolation.ts';
import { judge, type MapVersion, type Rules, selects } from './model.ts';

const RULES: Rules = {
  prefix: 'p',
  entries: [
    { isFor: () => true, selector: { matchLabels: { team: 'yes' } }, stores: ['vault'] },
    {
      isFor: (namespace) => namespace === 'b',
      selector: { matchExpressions: [{ key: 'tier', operator: 'In', values: ['gold'] }] },
      stores: ['vault', 'second'],
    },
  ],
};

const APP = mapping('app', 'p/a/db');

function mapping(name: string, key: string, more = ''): string {
  return `  - { name: ${name}, data: { A: { store: vault, key: ${key}, property: x } }${more} }\n`;
}

function version(mappings: string, overrides: Partial<MapVersion> = {}): MapVersion {
  return {
    namespace: 'a',
    name: 'map',
    at: 1_000,
    labels: { team: 'yes' },
    data: { 'mappings.yaml': `mappings:\n${mappings}` },
    binaryData: {},
    isDeleted: false,
    ...overrides,
  };
}

describe('the model', () => {
  it.each<[string, MapVersion, string]>([
    ['a mapping', version(APP), 'valid'],
    ['no labels', version(APP, { labels: {} }), 'ignored'],
    ['the labels of an entry for other namespaces', version(APP, { labels: { tier: 'gold' } }), 'ignored'],
    ['a deleted ConfigMap', version(APP, { isDeleted: true }), 'ignored'],
    ['invalid YAML', version(`${APP}  - [ not closed`), 'broken'],
    ['an unknown field', version(mapping('app', 'p/a/db', ', nam: x')), 'broken'],
    ['a namespace', version(mapping('app', 'p/a/db', ', target: { namespace: a }')), 'broken'],
    ['the same name twice', version(APP + APP), 'broken'],
    ['another key', version('', { data: { 'mapping.yaml': '' } }), 'broken'],
    ['two keys', version('', { data: { 'mappings.yaml': `mappings:\n${APP}`, more: '' } }), 'broken'],
    ['binary data', version(APP, { binaryData: { more: '' } }), 'broken'],
  ])('judges a ConfigMap with %s', (_, given, kind) => {
    expect(judge(given, RULES).kind).toBe(kind);
  });

  it('allows only the keys and stores of the first entry that selects the ConfigMap', () => {
    const isAllowed = (given: MapVersion) => {
      const judgement = judge(given, RULES);
      return judgement.kind === 'valid' && judgement.mappings.every((item) => item.isAllowed);
    };
    expect(isAllowed(version(APP))).toBe(true);
    expect(isAllowed(version(mapping('app', 'p/b/db')))).toBe(false);
    expect(isAllowed(version(mapping('app', 'p/ab/db')))).toBe(false);
    const second = mapping('app', 'p/b/db').replace('vault', 'second');
    const gold = { namespace: 'b', labels: { tier: 'gold' } };
    expect(isAllowed(version(second, gold))).toBe(true);
    expect(isAllowed(version(second, { ...gold, labels: { ...gold.labels, team: 'yes' } }))).toBe(false);
  });

  it.each([
    ['In', { a: 'x' }, true],
    ['In', { a: 'z' }, false],
    ['In', {}, false],
    ['NotIn', { a: 'z' }, true],
    ['NotIn', { a: 'x' }, false],
    ['NotIn', {}, true],
    ['Exists', { a: 'z' }, true],
    ['Exists', {}, false],
    ['DoesNotExist', {}, true],
    ['DoesNotExist', { a: 'z' }, false],
  ] as const)('the operator %s with the labels %j gives %s', (operator, labels, expected) => {
    const requirement = { key: 'a', operator, values: ['x', 'y'] };
    expect(selects({ matchExpressions: [requirement] }, labels)).toBe(expected);
  });
});

const base64 = (text: string) => Buffer.from(text).toString('base64');
const SECRET = { name: 'app', data: { A: base64('v') }, mapping: 'a.app', whenRemoved: 'keep' };

function input(overrides: Partial<TeamInput> = {}, reality: Partial<TeamReality> = {}): TeamInput {
  return {
    history: new Map([['map', [version(APP)]]]),
    contents: new Map([['p/a/db', { x: 'v' }]]),
    rules: RULES,
    privateSecrets: new Set(['private']),
    service: { startedAt: 0, readyAt: 500 },
    ...overrides,
    reality: {
      namespace: 'a',
      includes: new Map([['map', ['valid']]]),
      targets: [{ mapping: 'a.app', secret: 'app', state: 'synced' }],
      secrets: [SECRET],
      held: new Set(),
      ...reality,
    },
  };
}

const history = (...versions: readonly MapVersion[]) => ({ history: new Map([['map', versions]]) });
const broken = (at: number) => version('x', { at });
const failed = (code: string) => ({ targets: [{ mapping: 'a.app', secret: 'app', state: 'failed', code }] });
const includes = (state: string) => ({ includes: new Map([['map', [state]]]) });
const ended = version(APP, { isDeleted: true, at: 2_000 });
const noTargets = { includes: new Map<string, readonly string[]>(), targets: [] };
const toDelete = { ...SECRET, whenRemoved: 'delete' };

/** An ended mapping, and another one with the same source. The other one cannot create its Secret. */
function replaced(...versions: readonly MapVersion[]): TeamInput {
  const other = version(mapping('too', 'p/a/db', ', target: { secret: private }'), { name: 'too' });
  const targets = [{ mapping: 'a.too', secret: 'private', state: 'failed', code: 'NOT_OWNED' }];
  const taken = { name: 'private', data: {}, mapping: undefined, whenRemoved: undefined };
  return input(
    {
      history: new Map([
        ['map', [...versions, ended]],
        ['too', [other]],
      ]),
    },
    { includes: new Map([['too', ['valid']]]), targets, secrets: [toDelete, taken] },
  );
}

describe('the comparison of a team', () => {
  it.each<[string, TeamInput]>([
    ['a Secret in sync', input()],
    ['a refused mapping', input(history(version(mapping('app', 'p/b/db'))), failed('NOT_ALLOWED'))],
    ['an absent source', input({ contents: new Map() }, failed('SOURCE_ABSENT'))],
    [
      'a ConfigMap that broke in a running service',
      input(history(version(APP), broken(90_000)), includes('outdated')),
    ],
    [
      'a ConfigMap that was broken before the start',
      input(history(broken(0)), { ...includes('disabled'), targets: [], secrets: [] }),
    ],
    ['a kept Secret', input(history(version(APP), ended), noTargets)],
    [
      'a held deletion',
      input(history(version(APP), ended), { ...noTargets, secrets: [toDelete], held: new Set(['app']) }),
    ],
    ['a Secret whose replacement cannot be created', replaced(version(APP))],
    [
      'a Secret whose last version was never written',
      replaced(version(APP), version(mapping('app', 'p/b/db'), { at: 1_500 })),
    ],
  ])('accepts %s', (_, given) => {
    expect(compareTeam(given).findings).toEqual([]);
  });

  it.each<[string, TeamInput]>([
    ['another value', input({ contents: new Map([['p/a/db', { x: 'new' }]]) })],
    ['one key too many', input({}, { secrets: [{ ...SECRET, data: { ...SECRET.data, B: '' } }] })],
    ['a missing Secret', input({}, { secrets: [] })],
    ['a Secret of another mapping', input({}, { secrets: [{ ...SECRET, mapping: 'a.other' }] })],
    ['a target that is not in sync', input({}, failed('STORE_UNAVAILABLE'))],
    ['a target that is not shown', input({}, { targets: [] })],
    ['a source that is not allowed, and a Secret', input(history(version(mapping('app', 'p/b/db'))))],
    ['another code', input(history(version(mapping('app', 'p/b/db'))), failed('SOURCE_ABSENT'))],
    ['a broken ConfigMap that counts as valid', input(history(version(APP), broken(90_000)))],
    [
      'a ConfigMap that lost its last version',
      input(history(version(APP), broken(90_000)), includes('disabled')),
    ],
    ['a valid ConfigMap that is not in force', input({}, includes('outdated'))],
    ['a ConfigMap that is shown twice', input({}, { includes: new Map([['map', ['valid', 'disabled']]]) })],
    ['a ConfigMap that is not shown', input({}, { includes: new Map() })],
    ['a ConfigMap without the labels', input(history(version(APP, { labels: {} })))],
    ['a Secret that nobody wanted', input({}, { secrets: [SECRET, { ...SECRET, name: 'other' }] })],
    [
      'a Secret that had to be deleted',
      input(history(version(APP), ended), { ...noTargets, secrets: [toDelete] }),
    ],
    [
      'a Secret that had to be deleted, and a mapping with another source',
      replaced(version(mapping('app', 'p/a/api'))),
    ],
    [
      'two ConfigMaps with the same Secret',
      input(
        {
          history: new Map([
            ['map', [version(APP)]],
            ['too', [version(APP, { name: 'too' })]],
          ]),
        },
        {
          includes: new Map([
            ['map', ['valid']],
            ['too', ['valid']],
          ]),
        },
      ),
    ],
  ])('finds %s', (_, given) => {
    expect(compareTeam(given).findings).not.toEqual([]);
  });

  it('a wrong model does not agree with a correct state', () => {
    const [first] = RULES.entries;
    const wrong: readonly Rules[] = [
      { ...RULES, prefix: 'other' },
      { ...RULES, entries: [] },
      { ...RULES, entries: first === undefined ? [] : [{ ...first, stores: ['second'] }] },
      {
        ...RULES,
        entries: first === undefined ? [] : [{ ...first, selector: { matchLabels: { team: 'no' } } }],
      },
    ];
    for (const rules of wrong) expect(compareTeam(input({ rules })).findings).not.toEqual([]);
  });
});

const CHANGE: SecretChange = {
  type: 'ADDED',
  ...{ namespace: 'a', name: 'app', at: 5_000, keys: ['A', 'NEW_1'], hasForeignValue: false },
};
const write = (verb: string, target: string, at = 100_000) => ({ verb, target, at });
const of = (...versions: readonly MapVersion[]) => new Map([['a', new Map([['map', versions]])]]);
const deletable = version(mapping('app', 'p/a/db', ', onMappingRemoved: delete'));

describe('the separation of teams', () => {
  it('finds a value of another team', () => {
    expect(findForeignValues([CHANGE])).toEqual([]);
    expect(findForeignValues([{ ...CHANGE, hasForeignValue: true }])).toHaveLength(1);
  });

  it('finds a write to a Secret that no ConfigMap of the namespace wanted', () => {
    const histories = of(version(APP));
    expect(findForeignWrites([write('create', 'a/app')], histories, RULES)).toEqual([]);
    const others = [write('update', 'a/other'), write('create', 'b/app')];
    expect(findForeignWrites(others, histories, RULES)).toHaveLength(2);
  });

  it('finds a read of a key that only another team names', () => {
    const histories = of(version(APP), version(mapping('app', 'p/b/vip')));
    expect(findForeignReads(['p/a/db'], histories, RULES)).toEqual([]);
    expect(findForeignReads(['p/a/db', 'p/b/vip'], histories, RULES)).toHaveLength(1);
  });

  it('finds a deletion of a Secret that is wanted, or that had to be kept', () => {
    const deleted = [write('delete', 'a/app')];
    const deletedAt = { isDeleted: true, at: 95_000 };
    expect(findWrongDeletions(deleted, of(deletable, { ...deletable, ...deletedAt }), RULES)).toEqual([]);
    expect(findWrongDeletions(deleted, of(deletable), RULES)).toHaveLength(1);
    expect(findWrongDeletions(deleted, of(deletable, broken(2_000)), RULES)).toHaveLength(1);
    expect(findWrongDeletions(deleted, of(version(APP), { ...ended }), RULES)).toHaveLength(1);
  });

  it('finds deletions beyond the brake, and deletions that are held too early', () => {
    const counts = { deletions: 10, released: 0, targets: 100, share: 0.1, held: 0 };
    expect(findBrakeViolations(counts)).toEqual([]);
    expect(findBrakeViolations({ ...counts, deletions: 12, released: 2 })).toEqual([]);
    expect(findBrakeViolations({ ...counts, deletions: 11 })).toHaveLength(1);
    expect(findBrakeViolations({ ...counts, deletions: 2, held: 2 })).toHaveLength(1);
  });
});

describe('the time from an apply to the Secret', () => {
  const apply = { target: 'a/app', key: 'NEW_1', stores: ['vault'], at: 4_000 };
  const outage = { of: 'vault', name: 'hang', from: 4_500, until: 4_800 };

  it('ends when the Secret has the new key', () => {
    expect(applyTimes([apply], [{ ...CHANGE, at: 4_100, keys: ['A'] }, CHANGE], []).times).toEqual([1_000]);
  });

  it('does not count outages of what the ConfigMap needs', () => {
    expect(applyTimes([apply], [CHANGE], [outage])).toEqual({ times: [], disturbed: 1 });
    expect(applyTimes([apply], [CHANGE], [{ ...outage, of: 'second' }]).times).toEqual([1_000]);
    expect(applyTimes([apply], [CHANGE], [{ ...outage, of: 'service' }]).disturbed).toBe(1);
  });

  it('counts a version that was replaced late and never appeared', () => {
    expect(applyTimes([{ ...apply, replacedAt: 9_000 }], [], []).times).toEqual([5_000]);
    expect(applyTimes([{ ...apply, replacedAt: 4_300 }], [], []).times).toEqual([]);
  });
});
