import { describe, expect, it } from 'vitest';
import { gjsonQuery, jmesQuery } from '../../src/import/query.ts';
import { run } from '../sync/template/run.ts';

const J = JSON.stringify({
  users: [
    { name: 'ann', 'pass-word': 'a', id: 1, on: false, tags: ['x', 'y'], db: { host: 'h1' } },
    { name: 'bob', 'pass-word': 'b', id: 2, on: true, tags: [], db: { host: 'h2' } },
    { name: 'bob', id: 2 },
    { id: 3 },
  ],
  teams: [{ users: [{ name: 'eve', 'pass-word': 'e' }] }],
});
const LIST = JSON.stringify([
  { n: 'a', v: 'first' },
  { n: 'b', v: 'second' },
]);
const NO_VALUE = expect.objectContaining({ message: expect.stringMatching(/no value|there is no/) });

describe('a JMESPath', () => {
  it.each([
    ['users[?name==\'bob\']."pass-word" | [0]', 'b'],
    ['users[?name == \'bob\'] | [0]."pass-word"', 'b'],
    ['users[?name==`"ann"`].db.host | [0]', 'h1'],
    ['users[?name==`ann`].db.host | [0]', 'h1'],
    ['users[?id==`2`].name | [0]', 'bob'],
    ['users[?on==`true`].db | [0].host', 'h2'],
    ['users[*].name | [0]', 'ann'],
    ['teams[0].users[?name==\'eve\']."pass-word" | [0]', 'e'],
    ["users[?name=='nobody'].db.host | [0]", NO_VALUE],
    ["users[?name=='nobody'] | [0].name", NO_VALUE],
  ])('%s takes the value that its language takes', (expression, expected) => {
    expect(run(jmesQuery(expression)?.('J') ?? '', { J })).toEqual(expected);
  });

  it('of a list at the top takes its value', () => {
    expect(run(jmesQuery("[?n=='b'].v | [0]")?.('J') ?? '', { J: LIST })).toBe('second');
  });

  it.each([
    'users',
    "users[?name=='a'].b",
    "users[?name!='a'].b | [0]",
    "users[?name=='a' && id==`1`].b | [0]",
    "users[?contains(name, 'a')].b | [0]",
    "users[?name=='it\\'s'].b | [0]",
    'users[?id==`null`].b | [0]',
    'users[?id==`[1]`].b | [0]',
    'join(`-`, users[*].name)',
    'users[*].name | [1]',
    '{% raw %}',
  ])('%s has no equivalent', (expression) => {
    expect(jmesQuery(expression)).toBeUndefined();
  });
});

describe('a query of gjson', () => {
  it.each([
    ['users.#(name=="bob").db.host', 'h2'],
    ['users.#(name=="ann").tags.1', 'y'],
    ['users.#(id==2).name', 'bob'],
    ['users.#(on==true).name', 'bob'],
    ['users.#.name', '["ann","bob","bob"]'],
    ['users.#', '4'],
    ['users.#(name=="bob")#.db.host', '["h2"]'],
    ['teams.0.users.#(name=="eve").pass-word', 'e'],
    ['users.#(name=="nobody").id', NO_VALUE],
  ])('%s takes the value that its language takes', (property, expected) => {
    expect(run(gjsonQuery(property)?.('J') ?? '', { J })).toEqual(expected);
  });

  it.each([
    'a.b',
    'users.#(name!="a").b',
    'users.#(name%"a*").b',
    'users.#(name=="a").b|@pretty',
    'users.#(name=="a")#.tags.0',
    'users.#(db.host=="h1").name',
    'us*.#(name=="a").b',
    '@this.#',
    'users.#(name=="say \\"hi\\"").b',
  ])('%s has no equivalent', (property) => {
    expect(gjsonQuery(property)).toBeUndefined();
  });
});
