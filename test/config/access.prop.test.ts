import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allows, allowsSearch, createAccess, type Rule } from '../../src/config/shape/access.ts';
import { matches } from '../../src/core/glob.ts';

const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.', 'A', '\u00e9') });
const TENANT = {
  path: 'teams/a',
  callsPerMinute: 600,
  limits: { keysPerMapping: 200, templateTimeMs: 1_000, templateBytes: 1_024 },
};
const glob = fc.string({ unit: fc.constantFrom('a', 'b', '/', '*', '.') });

/** Converts a glob to a regular expression. This expression can backtrack, so it is only usable for short texts. */
function regExpOf(pattern: string): RegExp {
  const source = pattern.replace(/\*+|\./g, (token) =>
    token === '.' ? '\\.' : token === '*' ? '[^/]*' : '.*',
  );
  return new RegExp(`^${source}$`, 'u');
}

describe('globs', () => {
  it('a glob without a star matches only identical text', () => {
    fc.assert(fc.property(text, text, (a, b) => matches(a, b) === (a === b)));
  });

  it('a glob matches exactly the texts that an equivalent regular expression matches', () => {
    fc.assert(
      fc.property(glob, text, (pattern, candidate) => {
        expect(matches(pattern, candidate)).toBe(regExpOf(pattern).test(candidate));
      }),
      { numRuns: 2_000 },
    );
  });

  it('a glob still matches the same texts after each star in the glob is replaced by two stars', () => {
    fc.assert(
      fc.property(glob, text, (pattern, candidate) => {
        if (matches(pattern, candidate))
          expect(matches(pattern.replaceAll(/\*+/g, '**'), candidate)).toBe(true);
      }),
    );
  });
});

const segment = fc.string({ unit: fc.constantFrom('a', 'b', '-'), minLength: 1, maxLength: 3 });
const plainKey = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
const globSegment = fc.oneof(segment, fc.constantFrom('*', 'a*', '*b', '**'));
const plainGlob = fc.array(globSegment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
const names = fc.constantFrom('a', 'b', 'a-b');
const rule: fc.Arbitrary<Rule> = fc.record({
  namespaces: fc.array(fc.oneof(names, fc.constantFrom('*', 'a*')), { minLength: 1, maxLength: 2 }),
  stores: fc.array(fc.oneof(names, fc.constantFrom('*')), { minLength: 1, maxLength: 2 }),
  keys: fc.array(plainGlob, { minLength: 1, maxLength: 3 }),
});
const rules = fc.array(rule, { maxLength: 3 });

/** A reference implementation that checks each part of each rule with a regular expression. */
function model(all: readonly Rule[], namespace: string, store: string, key: string): boolean {
  const some = (globs: readonly string[], name: string) =>
    globs.some((namePattern) => regExpOf(namePattern).test(name));
  return all.some(
    (entry) => some(entry.namespaces, namespace) && some(entry.stores, store) && some(entry.keys, key),
  );
}

describe('access rules', () => {
  it('access rules allow exactly the unambiguous keys that a reference implementation allows', () => {
    fc.assert(
      fc.property(rules, names, names, plainKey, (all, namespace, store, key) => {
        expect(allows(all, { namespace, store, key })).toBe(model(all, namespace, store, key));
      }),
      { numRuns: 2_000 },
    );
  });

  /** Ways to change an allowed key so that some component may read the changed key as another key. */
  const ATTACKS: readonly ((key: string, other: string) => string)[] = [
    (key, other) => `${key}/../${other}`,
    (key, other) => `${key}/%2e%2e/${other}`,
    (key, other) => `${key}/%2E./${other}`,
    (key, other) => `${key}%2f..%2F${other}`,
    (key, other) => `${key}/%252e%252e/${other}`,
    (key, other) => `${key}/\uff0e\uff0e/${other}`,
    (key, other) => `${key}/\u2025/${other}`,
    (key, other) => `${key}\uff0f..\uff0f${other}`,
    (key, other) => `${key}\\..\\${other}`,
    (key, other) => `${key}%5c..%5c${other}`,
    (key, other) => `${key}/.\u200b./${other}`,
    (key, other) => `${key}\n${other}`,
    (key, other) => `${key}\u2028${other}`,
    (key, other) => `${key}%0a${other}`,
    (key, other) => `${key}\0${other}`,
    (key, other) => `${key}%00${other}`,
    (key, other) => `../${key}/${other}`,
    (key, other) => `${key}//${other}`,
    (key) => `${key}/`,
    (key) => `${key}/.`,
    (key) => `//${key}`,
    (key) => `./${key}`,
    (key) => `${key}/..`,
    (key) => `${key}\ud800`,
  ];

  it('access rules never allow a key that a component may read as another key, whatever the globs are', () => {
    fc.assert(
      fc.property(rules, fc.constantFrom(...ATTACKS), plainKey, plainKey, (all, attack, key, other) => {
        const open = [...all, { namespaces: ['**'], stores: ['**'], keys: ['**', '*', `${key}/**`] }];
        const use = { namespace: 'a', store: 'a', key: attack(key, other) };
        expect(allows(open, use)).toBe(false);
        const search = { namespace: 'a', store: 'a', path: use.key };
        // A single `/` at the end of a path is allowed.
        if (use.key !== `${key}/`) expect(allowsSearch(open, { ...search, flat: false })).toBe(false);
        expect(allowsSearch(open, { ...search, flat: true })).toBe(false);
      }),
      { numRuns: 1_000 },
    );
  });

  it('access rules allow an ARN only if a glob that begins like an ARN matches it', () => {
    const arn = plainKey.map((key) => `arn:aws:secretsmanager:eu-west-1:123456789012:secret:${key}`);
    const reaching = fc.constantFrom(
      'a*',
      'a*/**',
      'ar*',
      '*',
      '*/*',
      '*:*',
      '**/*',
      '**/b',
      '*rn:**',
      '***',
    );
    fc.assert(
      fc.property(arn, fc.array(fc.oneof(plainGlob, reaching), { minLength: 1 }), (key, keys) => {
        const among = keys.filter((pattern) => pattern !== '**');
        expect(
          allows([{ namespaces: ['*'], stores: ['*'], keys: among }], { namespace: 'a', store: 'a', key }),
        ).toBe(false);
        const exact = [{ namespaces: ['*'], stores: ['*'], keys: [key] }];
        expect(allows(exact, { namespace: 'a', store: 'a', key })).toBe(true);
        expect(allows(exact, { namespace: 'a', store: 'a', key: `${key}x` })).toBe(false);
        expect(allows(exact, { namespace: 'a', store: 'a', key: key.replace(/^.*:/, '') })).toBe(false);
      }),
    );
  });

  it('access rules allow a search only if they allow all its possible results', () => {
    const path = fc.oneof(
      fc.constantFrom('', '/'),
      plainKey,
      plainKey.map((key) => `${key}/`),
    );
    fc.assert(
      fc.property(rules, names, names, path, plainKey, (all, namespace, store, start, relative) => {
        if (!allowsSearch(all, { namespace, store, path: start, flat: false })) return;
        const folder = start.replace(/\/$/, '');
        const key = folder === '' ? relative : `${folder}/${relative}`;
        expect(model(all, namespace, store, key)).toBe(true);
        expect(allows(all, { namespace, store, key })).toBe(true);
      }),
      { numRuns: 3_000 },
    );
  });

  it('access rules allow a search in a store without folders only if they allow every name that begins with the search path', () => {
    const end = fc.string({ unit: fc.constantFrom('a', 'b', '-'), maxLength: 4 });
    const beginning = fc.oneof(fc.constant(''), segment);
    fc.assert(
      fc.property(rules, names, names, beginning, end, (all, namespace, store, start, rest) => {
        if (start + rest === '' || !allowsSearch(all, { namespace, store, path: start, flat: true })) return;
        expect(model(all, namespace, store, start + rest)).toBe(true);
      }),
      { numRuns: 3_000 },
    );
  });

  it('access rules allow a search in a folder if they allow the whole folder', () => {
    fc.assert(
      fc.property(plainKey, plainKey, (folder, inner) => {
        const all = [{ namespaces: ['*'], stores: ['*'], keys: [`${folder}/**`] }];
        for (const path of [folder, `${folder}/`, `${folder}/${inner}`, `${folder}/${inner}/`])
          expect(allowsSearch(all, { namespace: 'a', store: 'a', path, flat: false })).toBe(true);
      }),
    );
  });
});

describe('bounds of an include', () => {
  it('bounds only restrict the access: a key must be allowed by both the access rules and the bounds', () => {
    const config = fc.record({ access: fc.option(rules, { nil: undefined }), bound: rule });
    fc.assert(
      fc.property(config, names, names, plainKey, ({ access, bound }, namespace, store, key) => {
        const stores = [{ name: 'a', kind: 'vault' }];
        const { allows: allowsWithBounds } = createAccess({
          access,
          stores,
        });
        const use = { namespace, store, key };
        const free = access === undefined || model(access, namespace, store, key);
        expect(allowsWithBounds({ mapping: {}, ...use })).toBe(free);
        const include = { ...TENANT, bounds: { ...bound, types: [] } };
        expect(allowsWithBounds({ mapping: { include }, ...use })).toBe(
          free && model([bound], namespace, store, key),
        );
      }),
      { numRuns: 2_000 },
    );
  });
});
