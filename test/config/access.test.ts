import { describe, expect, it } from 'vitest';
import { allows } from '../../src/config/shape/access.ts';
import { matches } from '../../src/core/glob.ts';

describe('a glob', () => {
  it.each([
    ['a', 'a', true],
    ['a', 'b', false],
    ['*', '', true],
    ['a*', 'a', true],
    ['a*', 'abc', true],
    ['a*c', 'abbc', true],
    ['a*c', 'abb', false],
    ['*a*b*', 'xxaxxbxx', true],
    ['a/*', 'a/b', true],
    ['a/*', 'a/b/c', false],
    ['a/**', 'a/b/c', true],
    ['a/**', 'a', false],
    ['a/**', 'ab', false],
    ['**/c', 'a/b/c', true],
    ['a/**/c', 'a/b/b/c', true],
    ['a/***', 'a/b/c', true],
  ])('the glob %s matches %s: %s', (glob, text, expected) => {
    expect(matches(glob, text)).toBe(expected);
  });

  it.each([
    ['a longer text with it as prefix', 'payments', 'payments-evil'],
    ['a longer text with it as suffix', 'payments', 'evil-payments'],
    ['another case', 'payments', 'Payments'],
    ['a line break by a star', 'a*', 'a\nb'],
    ['a line break by two stars', 'a/**', 'a/b\nc'],
    ['a line break at the end', 'a', 'a\n'],
    ['a Unicode line break', '**', 'a\u2028b'],
    ['another Unicode form of a letter', 'caf\u00e9', 'cafe\u0301'],
    ['a look-alike', 'payments', 'p\u0430yments'],
    ['any character by a dot', 'a.b', 'axb'],
    ['any character by a question mark', 'a?b', 'axb'],
    ['a class of characters', '[ab]', 'a'],
    ['alternatives', '{a,b}', 'a'],
    ['what is repeated', 'a+', 'aa'],
    ['an escape', '\\*', '*'],
  ])('a glob does not match %s', (_, glob, text) => {
    expect(matches(glob, text)).toBe(false);
  });

  it('treats all special characters except the star literally', () => {
    for (const text of ['a.b', 'a?b', '[ab]', '{a,b}', '(a|b)', 'a+', '^a$', '\\d', '\u{1F511}'])
      expect(matches(text, text)).toBe(true);
  });

  it('matches a glob in a time that is at most proportional to the product of the lengths of glob and text', () => {
    // A matcher with backtracking would exceed the time limit of the test.
    expect(matches('*a'.repeat(50), 'a'.repeat(5_000))).toBe(true);
    expect(matches(`${'*a'.repeat(50)}b`, 'a'.repeat(5_000))).toBe(false);
  });
});

describe('the access to a key', () => {
  const rules = [
    { namespaces: ['payments', 'payments-*'], stores: ['team-vault'], keys: ['payments/**'] },
    { namespaces: ['*'], stores: ['local'], keys: ['shared/*', '/aws/**'] },
  ];
  const isAllowed = (namespace: string, store: string, key: string) =>
    allows(rules, { namespace, store, key });

  it('allows a key if a single rule matches namespace, store and key', () => {
    expect(isAllowed('payments', 'team-vault', 'payments/db')).toBe(true);
    expect(isAllowed('payments-eu', 'team-vault', 'payments/a/b')).toBe(true);
    expect(isAllowed('any', 'local', 'shared/a')).toBe(true);
    expect(isAllowed('any', 'local', '/aws/a')).toBe(true);
  });

  it('denies a key if namespace, store and key match only in different rules', () => {
    expect(isAllowed('payments', 'local', 'payments/db')).toBe(false);
    expect(isAllowed('any', 'team-vault', 'payments/db')).toBe(false);
    expect(isAllowed('payments', 'team-vault', 'shared/a')).toBe(false);
  });

  it.each([
    'payments/../root', 'payments/./db', 'payments/a/..', 'payments//db', 'payments/', 'payments/db/', '../payments/db',
    'payments/db\n', 'payments/\0', 'payments/\r/x', 'Payments/db', 'payments', '/payments/db', 'x/payments/db',
  ])('never allows the key %j', (key) => {
    expect(isAllowed('payments', 'team-vault', key)).toBe(false);
  }); // biome-ignore format: a list of keys

  it('denies every key if the list of rules is empty', () => {
    expect(allows([], { namespace: 'a', store: 'b', key: 'c' })).toBe(false);
  });
});
