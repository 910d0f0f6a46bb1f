import { describe, expect, it } from 'vitest';
import { isSamePerson, maybeSamePerson, type Person, personOf } from '../../src/core/person.ts';

const SUBJECT = 'https://id.example.com#0f3a';
const ANN: Person = { name: 'ann@example.com', subject: SUBJECT, aliases: ['ann'] };

describe('maybeSamePerson', () => {
  it.each<[string, Partial<Person>, boolean]>([
    ['the same subject under another name', { name: 'a.smith@example.com', subject: SUBJECT }, true],
    ['another subject with the same name', { name: 'Ann@Example.com', subject: `${SUBJECT}1` }, true],
    ['a token with an alias as its name', { name: 'ann' }, true],
    ['the name that the API server gives the subject', { name: SUBJECT }, true],
    ['a Kubernetes identity with a prefix', { name: 'oidc:ann@example.com' }, true],
    ['a service account with the same last part', { name: 'system:serviceaccount:ci:ann' }, false],
    ['another person', { name: 'bob', subject: `${SUBJECT}1`, aliases: ['bob@example.com'] }, false],
    ['an actor without a name', {}, false],
  ])('compares a person with %s', (_, other, isSame) => {
    expect(maybeSamePerson(ANN, other)).toBe(isSame);
    expect(maybeSamePerson(other, ANN)).toBe(isSame);
  });

  it.each<[string, Partial<Person>, Partial<Person>, boolean]>([
    ['the same subject', ANN, { name: 'a.smith', subject: SUBJECT }, true],
    ['a common name, if only one login has a subject', ANN, { name: 'ann@example.com' }, false],
    ['a common name without subjects', { name: 'ann' }, { name: 'ann' }, true],
    ['an alias', { name: 'ann' }, { name: 'x', aliases: ['ann'] }, false],
  ])('isSamePerson compares %s', (_, one, other, isSame) => {
    expect(isSamePerson(one, other)).toBe(isSame);
  });

  it('copies only the members that a record needs', () => {
    const withGroups = { ...ANN, groups: ['payments'] };
    expect(personOf(withGroups)).toEqual(ANN);
    expect(personOf({ name: 'ci', aliases: [] })).toEqual({ name: 'ci' });
  });
});
