import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/core/error-codes.ts';
import { AppError } from '../../src/core/errors.ts';
import type { Search } from '../../src/core/mapping.ts';
import { type ReadResult, refId } from '../../src/core/read-result.ts';
import { shapeDesired, storeRef } from '../../src/sync/desired.ts';
import {
  dropNeverWritten,
  type FoundKeys,
  findLostKeys,
  foundSource,
  isNamePattern,
  matching,
  relativeName,
} from '../../src/sync/find.ts';
import { ANNOTATION, configHash, LABEL } from '../../src/sync/ownership-metadata.ts';
import { data, found, live, mapping, source, texts } from './sample.ts';

const search = (find: Partial<Search['find']> = {}, more: Partial<Search> = {}): Search => ({
  store: 'vault',
  find: { path: '', tags: {}, ...find },
  ...more,
});

describe('name of a key relative to the search path', () => {
  it.each([
    ['features/', 'features/flag', 'flag'],
    ['features', 'features/flag', 'flag'],
    ['features//', 'features/flag', 'flag'],
    ['features/', 'features/a/b', 'a/b'],
    ['', 'a/b', 'a/b'],
    ['/prod', '/prod/db', 'db'],
    ['feat', 'feature-x', undefined],
    ['features/', 'other/flag', undefined],
    ['features/', 'features/', undefined],
  ])('a search with the path %j gives the key %j the name %j', (path, key, name) => {
    expect(relativeName(search({ path }), key)).toBe(name);
  });

  it('a search uses all text after the path as the name if keys of the store contain no slashes', () => {
    const flat = search({ path: 'flag-' }, { isFlat: true });
    expect(relativeName(flat, 'flag-a')).toBe('a');
    expect(relativeName(flat, 'other')).toBeUndefined();
  });
});

describe('pattern of a search', () => {
  it.each([
    ['^flag-', ['f/flag-a', 'f/a-flag-b', 'f/FLAG-c'], ['f/flag-a']],
    ['flag', ['f/flag-a', 'f/a-flag-b', 'f/x'], ['f/a-flag-b', 'f/flag-a']],
    ['^[a-z]+$', ['f/abc', 'f/abc1', 'f/ABC'], ['f/abc']],
    ['(?i)^x', ['f/Xa', 'f/xb', 'f/y'], ['f/Xa', 'f/xb']],
    ['^a/', ['f/a/b', 'f/b/a'], ['f/a/b']],
    ['^f/', ['f/a'], []],
  ])('the search pattern `%s` reduces the keys %j to %j', (name, keys, expected) => {
    expect(matching(search({ path: 'f', name }), keys)).toEqual(expected);
  });

  it('any search pattern is matched in linear time', () => {
    const keys = [`f/${'a'.repeat(50_000)}`];
    expect(matching(search({ path: 'f', name: '^(a+)+$b' }), keys)).toEqual([]);
    expect(matching(search({ path: 'f', name: '^(a|a)*c' }), keys)).toEqual([]);
  });

  it.each([
    ['^flag-\\d+$', true],
    ['\\p{L}+', true],
    ['(?<name>x)', true],
    ['a(?=b)', false],
    ['(?<!a)b', false],
    ['(a)\\1', false],
    ['(', false],
    ['a{1,100000}', false],
  ])('the search pattern %j is validated with the result %s', (text, can) => {
    expect(isNamePattern(text)).toBe(can);
  });
});

describe('search result', () => {
  const shape = (definition: Search, keys: readonly string[], values: Record<string, string>) => {
    const readings = new Map(
      Object.entries(values).map(([key, value]) => [
        refId(storeRef(foundSource(definition, key))),
        found(value, '7'),
      ]),
    );
    return shapeDesired(mapping({ dataFrom: [definition] }), readings, [{ search: definition, keys }]);
  };

  it('a search result creates one key of the Secret for each found key, named relative to the path', () => {
    const definition = search({ path: 'features/' }, { rename: { case: 'upper', prefix: 'f_' } });
    const expected = shape(definition, ['features/a', 'features/b'], {
      'features/a': '1',
      'features/b': '2',
    });
    if (expected.kind !== 'ready') throw expected.error;
    expect(texts(expected.data)).toEqual({ f_A: '1', f_B: '2' });
    expect(expected.sources.get('f_A')).toEqual({ store: 'vault', key: 'features/a', version: '7' });
  });

  it('a search result is decoded if the mapping asks for decoding', () => {
    const expected = shape(search({}, { decode: 'base64' }), ['a'], { a: 'aGVsbG8=' });
    expect(expected.kind === 'ready' && texts(expected.data)).toEqual({ a: 'hello' });
  });

  it('a search result without keys is accepted', () => {
    expect(shape(search(), [], {})).toMatchObject({ kind: 'ready', absent: [] });
  });

  it('a search result fails with KEY_INVALID if Kubernetes rejects a name, unless invalid characters are replaced', () => {
    expect(shape(search(), ['a/b'], { 'a/b': '1' })).toMatchObject({
      kind: 'failed',
      error: { code: 'KEY_INVALID', subject: 'store vault, key a/b' },
    });
    const replaced = shape(search({}, { rename: { invalid: 'replace' } }), ['a/b'], { 'a/b': '1' });
    expect(replaced.kind === 'ready' && texts(replaced.data)).toEqual({ a_b: '1' });
  });

  it('a search result is rejected if found keys collide with keys of other sources or with each other', () => {
    const rename = { invalid: 'replace' } as const;
    expect(shape(search({}, { rename }), ['a/b', 'a_b'], { 'a/b': '1', a_b: '1' })).toMatchObject({
      kind: 'failed',
      error: { code: 'KEY_COLLISION', detail: 'store vault, key a/b; and store vault, key a_b' },
    });
    const definition = search();
    const fixed = source({ key: 'x' });
    const readings = new Map(
      [fixed, foundSource(definition, 'a')].map((one) => [refId(storeRef(one)), found('1')]),
    );
    expect(
      shapeDesired(mapping({ data: { a: fixed } }), readings, [{ search: definition, keys: ['a'] }]),
    ).toMatchObject({
      kind: 'failed',
      error: { code: 'KEY_COLLISION' },
    });
  });
});

describe('keys that a search no longer finds', () => {
  const it_ = search({ path: 'f/', name: '^flag-' }, { rename: { prefix: 'F_' } });
  const owned = (sources: unknown, keys: Record<string, string> = {}) =>
    live({
      labels: { [LABEL.mapping]: 'app' },
      annotations: { [ANNOTATION.sources]: JSON.stringify(sources) },
      data: data(keys),
    });
  const entry = (key: string, more: object = {}) => ({ store: 'vault', key, version: '1', ...more });
  const left = (
    keys: readonly string[],
    at: ReturnType<typeof live> | undefined,
    extra: readonly string[] = [],
    more: Parameters<typeof mapping>[0] = {},
  ) => findLostKeys({ search: it_, keys } satisfies FoundKeys, at, extra, mapping(more));

  it('findLostKeys returns the recorded keys that the current search did not find', () => {
    const written = { 'F_flag-a': entry('f/flag-a'), 'F_flag-b': entry('f/flag-b') };
    expect(left(['f/flag-b'], owned(written))).toEqual(['f/flag-a']);
    expect(left(['f/flag-a', 'f/flag-b'], owned(written))).toEqual([]);
  });

  it('findLostKeys excludes recorded keys if the mapping no longer has their store, path, name or property', () => {
    const written = {
      a: entry('f/flag-a', { store: 'other' }),
      b: entry('g/flag-b'),
      c: entry('f/other-c'),
      d: entry('f/flag-d', { property: 'p' }),
    };
    expect(left([], owned(written))).toEqual([]);
  });

  it('findLostKeys excludes keys from `data`, because `data` has its own rules for missing sources', () => {
    const given = { data: { CFG: source({ key: 'f/flag-a', optional: true }) } };
    const written = { CFG: entry('f/flag-a'), 'F_flag-b': entry('f/flag-b') };
    expect(left([], owned(written), [], given)).toEqual(['f/flag-b']);
  });

  it('findLostKeys returns keys that are no longer found even if the prefix of the keys in the Secret has changed', () => {
    expect(left([], owned({ 'OLD_flag-a': entry('f/flag-a') }))).toEqual(['f/flag-a']);
  });

  it('findLostKeys returns an empty list if the target is missing or does not belong to us', () => {
    expect(left([], undefined)).toEqual([]);
    expect(
      left([], live({ annotations: { [ANNOTATION.sources]: JSON.stringify({ a: entry('f/flag-a') }) } })),
    ).toEqual([]);
  });

  it.each([
    ['dotted', ['f/flag-a', 'f/.git/flag-b', 'f/flag-c/.d', 'f/..data/flag-e'], ['f/flag-a']],
    [
      'arns',
      ['arn:aws:secretsmanager:eu-west-1:111111111111:secret:flag-a-AbCdEf', 'ARN:flag-b', 'flag-c'],
      ['flag-c'],
    ],
    ['anyCase', ['FLAG-found', 'Flag-Found', 'flag-gone'], ['flag-gone']],
  ] as const)(
    'findLostKeys excludes keys that a search of their store can never return: %s',
    (unlisted, named, expected) => {
      const path = unlisted === 'dotted' ? 'f/' : '';
      const written = Object.fromEntries(named.map((key, n) => [`k${n}`, entry(key)]));
      const all = { search: search({ path }, { unlisted }), keys: ['flag-found'] };
      expect(findLostKeys(all, owned(written), [], mapping({}))).toEqual(expected);
      const byName = { count: 9000, fingerprint: 'x' };
      const extra = named.map((key) => key.replace('f/', ''));
      expect(findLostKeys(all, owned(byName), extra, mapping({}))).toEqual(expected);
    },
  );

  it('the configuration hash of a mapping does not depend on the kind of its store', () => {
    const entry_ = search({ path: 'f/' });
    const hash = mapping({ dataFrom: [{ ...entry_, isFlat: true, unlisted: 'anyCase' }] });
    expect(configHash(hash)).toBe(configHash(mapping({ dataFrom: [entry_] })));
  });

  it('findLostKeys includes keys in a folder with a leading dot if this folder is the path of the search', () => {
    const all = { search: search({ path: '.f' }, { unlisted: 'dotted' }), keys: [] };
    expect(findLostKeys(all, owned({ a: entry('.f/a') }), [], mapping({}))).toEqual(['.f/a']);
  });

  it('findLostKeys derives the recorded keys from the keys of the Secret if the annotation is too small to list the sources', () => {
    const at = owned({ count: 9000, fingerprint: 'x' }, { 'F_flag-a': '1', OTHER: '2' });
    expect(left([], at, ['F_flag-a'])).toEqual(['f/flag-a']);
    for (const rename of [
      { case: 'upper' },
      { replace: { from: '-', to: '_' } },
      { patterns: [{ match: 'f', to: 'F' }] },
    ] as const) {
      expect(() =>
        findLostKeys({ search: { ...it_, rename }, keys: [] }, at, ['F_FLAG-A'], mapping({})),
      ).toThrow(expect.objectContaining({ code: 'SOURCE_ABSENT' }));
      expect(findLostKeys({ search: { ...it_, rename }, keys: [] }, at, [], mapping({}))).toEqual([]);
    }
    const flat = search({ path: 'flag-' }, { isFlat: true });
    expect(findLostKeys({ search: flat, keys: ['flag-a'] }, at, ['b'], mapping({}))).toEqual(['flag-b']);
  });
});

describe('listed key that cannot be read', () => {
  const kept = (result: ReadResult, at?: ReturnType<typeof live>) => {
    const all: FoundKeys = { search: search({ path: 'f/' }), keys: ['f/a', 'f/b'] };
    const reading = ({ key }: { key: string }) => (key === 'f/b' ? result : found('1'));
    return dropNeverWritten(all, at, reading, mapping({})).keys;
  };
  const failed = (code: ErrorCode): ReadResult => ({ kind: 'failed', error: new AppError(code) });
  const written = live({
    labels: { [LABEL.mapping]: 'app' },
    annotations: {
      [ANNOTATION.sources]: JSON.stringify({ b: { store: 'vault', key: 'f/b', version: '1' } }),
    },
  });

  it.each([
    ['does not exist', { kind: 'absent' } as const],
    ['is deleted', failed('SOURCE_DELETED')],
    ['has no current version', failed('VERSION_GONE')],
  ])('a listed key that %s is skipped, unless the target was made from that key', (_, result) => {
    expect(kept(result)).toEqual(['f/a']);
    expect(kept(result, written)).toEqual(['f/a', 'f/b']);
  });

  it.each(['ACCESS_DENIED', 'SOURCE_DISABLED', 'STORE_UNAVAILABLE'] as const)(
    'a listed key is not skipped if its read fails with %s',
    (code) => {
      expect(kept(failed(code))).toEqual(['f/a', 'f/b']);
    },
  );
});
