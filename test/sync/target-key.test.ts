import { describe, expect, it } from 'vitest';
import { findPatternProblem, targetKey } from '../../src/sync/target-key.ts';

const renamed = (name: string, ...patterns: readonly (readonly [match: string, to: string])[]) =>
  targetKey(name, { patterns: patterns.map(([match, to]) => ({ match, to })) }, 'a test');

describe('the patterns of a rename', () => {
  it.each([
    ['db-user', ['^db-(.*)$', '$1'], 'user'],
    ['db-user', ['(.*)', 'A_$1'], 'A_db-user'],
    ['db-user', ['-', '_'], 'db_user'],
    ['aXbXc', ['X*', '-'], '-a-b-c-'],
    ['abc', ['', '.'], '.a.b.c.'],
    ['db-user', ['^(?P<kind>\\w+)-(\\w+)$', `\${2}.$kind`], 'user.db'],
    ['db-user', ['(d)(x)?', `$1\${2}z`], 'dzb-user'],
    ['db-user', ['^nothing', 'x'], 'db-user'],
    ['a', ['a', '$$'], undefined],
    ['db/user', ['/', '.'], 'db.user'],
  ] as const)('%s becomes, with %j, %s', (name, pattern, expected) => {
    if (expected === undefined) expect(() => renamed(name, pattern)).toThrow('"$"');
    else expect(renamed(name, pattern)).toBe(expected);
  });

  it('are applied one after the other, before the other changes', () => {
    expect(renamed('team-db-user', ['^team-', ''], ['^db-(.*)$', 'sql-$1'])).toBe('sql-user');
    const patterns = [{ match: '^db-', to: '' }];
    const rename = { patterns, case: 'upper', replace: { from: '-', to: '_' }, prefix: 'app-' } as const;
    expect(targetKey('db-user-name', rename, 'a test')).toBe('app-USER_NAME');
  });

  it('do not change a name that is too long for a key', () => {
    expect(() => renamed('a'.repeat(1_001), ['a+', 'b'])).toThrow();
    expect(renamed('a'.repeat(1_000), ['a+', 'b'])).toBe('b');
  });

  it.each([
    [[['(', 'a']], 0, 'match'],
    [[['(?=a)', 'a']], 0, 'match'],
    [
      [
        ['a', 'b'],
        ['(a)', '$2'],
      ],
      1,
      'to',
    ],
    [[['(a)', '$1x']], 0, 'to'],
    [[['(a)', `\${b}`]], 0, 'to'],
    [
      [
        ['a{60}', 'b'],
        ['c{60}', 'd'],
      ],
      1,
      'match',
    ],
  ] as const)('%j have a problem', (list, index, field) => {
    const patterns = list.map(([match, to]) => ({ match, to }));
    expect(findPatternProblem(patterns)).toMatchObject({ index, field });
  });

  it('have no problem if each group exists', () => {
    expect(findPatternProblem([{ match: '(?P<n>a)(b)', to: `$n\${2}$0$$` }])).toBeUndefined();
  });
});
