import { expect, it } from 'vitest';
import { postgresQueries } from '../../src/audit/postgres/rows.ts';
import { type AskKept, createTogether } from '../../src/audit/postgres/together.ts';
import { latest } from '../../src/audit/records/latest.ts';
import { ofFingerprintAnywhere, type Template } from '../../src/audit/records/search.ts';

const query = { sql: 'select $1 as is, $2 as kind, $3 as again', parameters: ['', 'read', ''] };
const template = { query, places: [0, undefined, 0] } as unknown as Template;

interface Asked {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

/** A database with one connection, which waits for its turn. */
function server(answer: (asked: Asked) => Promise<readonly object[]>) {
  const asked: Asked[] = [];
  let turn: Promise<unknown> = Promise.resolve();
  const ask: AskKept = (statementOf) => {
    const mine = turn.then(() => {
      const statement = statementOf();
      asked.push(statement);
      return answer(statement);
    });
    turn = Promise.allSettled([mine]);
    return mine;
  };
  return { asked, askOfOne: createTogether(ask) };
}

async function echo({ sql, parameters: [first] }: Asked): Promise<readonly object[]> {
  if (!sql.includes('unnest')) return [{ is: first }];
  // In whatever order they come.
  return (first as readonly string[]).map((value, index) => ({ nth: index + 1, is: value })).toReversed();
}

it('asks alone who comes first, and then together all who came meanwhile, a few at a time', async () => {
  const { asked, askOfOne } = server(echo);
  const names = Array.from({ length: 120 }, (_, n) => `k${n}`);
  const first = askOfOne(template, ['k0']);
  await Promise.resolve();
  const answers = await Promise.all([first, ...names.slice(1).map((name) => askOfOne(template, [name]))]);
  expect(answers).toMatchObject(names.map((is) => ({ is })));
  expect(asked.map(({ parameters: [first] }) => (Array.isArray(first) ? first.length : 1))).toEqual([
    1, 50, 50, 19,
  ]);
  expect(asked[0]).toEqual({ sql: query.sql, parameters: ['k0', 'read', 'k0'] });
  expect(asked[1]).toMatchObject({
    sql: expect.stringContaining('(select asked.value_0 as is, $2 as kind, asked.value_0 as again)'),
    parameters: [names.slice(1, 51), 'read'],
  });
});

it('keeps nobody waiting whom the answer leaves out', async () => {
  const { askOfOne } = server(async (asked) => (await echo(asked)).filter((_, index) => index > 0));
  const answers = await Promise.all(['a', 'b', 'c'].map((name) => askOfOne(template, [name])));
  expect(answers).toMatchObject([{ is: 'a' }, { is: 'b' }, undefined]);
});

it('takes an answer that is left out for no absence', async () => {
  const { askOfOne } = server(async () => []);
  const searched = {
    db: postgresQueries,
    ask: async () => [],
    askOfOne,
    ofFingerprint: ofFingerprintAnywhere,
  };
  const asked = latest(searched, { store: 's', key: 'k' }, ['read']);
  await expect(asked).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
});

it('tells all who asked that it failed, and answers those who come later', async () => {
  let fails = true;
  const { askOfOne } = server(async (asked) => {
    if (fails) throw new Error('away');
    return echo(asked);
  });
  const all = await Promise.allSettled(['a', 'b', 'c'].map((name) => askOfOne(template, [name])));
  expect(all.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  fails = false;
  expect(await askOfOne(template, ['d'])).toMatchObject({ is: 'd' });
});

it('asks the same again where a connection was lost on the way', async () => {
  const askOfOne = createTogether(async (statementOf) => {
    const first = statementOf();
    const second = statementOf();
    expect(second).toEqual(first);
    return echo(second);
  });
  const answers = await Promise.all(['a', 'b', 'c'].map((name) => askOfOne(template, [name])));
  expect(answers).toMatchObject([{ is: 'a' }, { is: 'b' }, { is: 'c' }]);
});

it('tells all who wait that no connection can be made', async () => {
  const askOfOne = createTogether(async () => Promise.reject(new Error('closed')));
  const all = await Promise.allSettled(['a', 'b'].map((name) => askOfOne(template, [name])));
  expect(all.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
});
