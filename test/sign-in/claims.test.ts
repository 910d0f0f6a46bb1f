import { describe, expect, it } from 'vitest';
import { areGroupsLeftOut, type Claims, groupsIn, signedInOf } from '../../src/sign-in/claims.ts';

const ISSUER = { iss: 'https://login.example.com', sub: '0f3a' };

describe('the name of a person', () => {
  it.each<[string, Readonly<Record<string, unknown>>, string, readonly string[]]>([
    [
      'a verified address',
      { email: 'Ann@x.org', email_verified: true, preferred_username: 'ann' },
      'Ann@x.org',
      ['ann'],
    ],
    ['not an unverified address', { email: 'boss@x.org', preferred_username: 'ann' }, 'ann', ['boss@x.org']],
    ['the id without other names', {}, '0f3a', []],
    ['without control characters', { preferred_username: 'a\u202eb' }, 'a\\u{202E}b', []],
  ])('is %s', (_, claims, name, aliases) => {
    const { person } = signedInOf({ ...ISSUER, ...claims }, 'groups', new Set());
    expect(person).toEqual({ name, aliases, subject: 'https://login.example.com#0f3a' });
  });
});

describe('the groups of a person', () => {
  it.each<[Readonly<Record<string, unknown>>, string, readonly string[] | undefined]>([
    [{ groups: ['a', 1, 'b'] }, 'groups', ['a', 'b']],
    [{ groups: 'a' }, 'groups', ['a']],
    [{ realm_access: { roles: ['a'] } }, 'realm_access.roles', ['a']],
    [{ 'https://x.org/groups': ['a'] }, 'https://x.org/groups', ['a']],
    [{}, 'groups', undefined],
    [{ groups: { a: true } }, 'groups', undefined],
  ])('in the claims %j are found by %s', (claims, claim, groups) => {
    expect(groupsIn(claims, claim)).toEqual(groups);
  });

  it('are limited to what fits into a cookie, and the groups of the configuration come first', () => {
    const many = Array.from({ length: 500 }, (_, index) => `group-${index}`);
    const { groups } = signedInOf({ ...ISSUER, groups: [...many, 'sre'] }, 'groups', new Set(['sre']));
    expect(groups[0]).toBe('sre');
    expect(groups.length).toBeGreaterThan(50);
    expect(Buffer.byteLength(JSON.stringify(groups))).toBeLessThan(2_200);
  });

  it('may be left out by the provider, which is told from having none', () => {
    const claims: Claims = { ...ISSUER, _claim_names: { groups: 'src1' } };
    expect(areGroupsLeftOut(claims, 'groups')).toBe(true);
    expect(areGroupsLeftOut(ISSUER, 'groups')).toBe(false);
  });
});
