import { expect, it } from 'vitest';
import { createQueryBatcher, type RunPrepared } from '../../src/audit/postgres/query-batcher.ts';
import { sql } from '../../src/audit/records/sql.ts';

const query = (name: string) => sql`select ${name} as is, ${'read'} as kind`;

interface Statement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

/** A database with one connection, which runs one statement at a time. */
function server(answer: (statements: Statement) => Promise<readonly object[]>) {
  const statements: Statement[] = [];
  let queue: Promise<unknown> = Promise.resolve();
  const run: RunPrepared = (statementOf) => {
    const result = queue.then(() => {
      const statement = statementOf();
      statements.push(statement);
      return answer(statement);
    });
    queue = Promise.allSettled([result]);
    return result;
  };
  return { statements, runQuery: createQueryBatcher(run) };
}

async function echo({ sql, parameters: [first] }: Statement): Promise<readonly object[]> {
  if (!sql.includes('unnest')) return [{ is: first }];
  // The order of the rows does not matter.
  return (first as readonly string[]).map((value, index) => ({ nth: index + 1, is: value })).toReversed();
}

it('a query batcher sends the first query alone, and then sends all queries that arrived while the first query ran as one batch', async () => {
  const { statements, runQuery } = server(echo);
  const names = Array.from({ length: 120 }, (_, n) => `k${n}`);
  const first = runQuery(query('k0'));
  await Promise.resolve();
  const answers = await Promise.all([first, ...names.slice(1).map((name) => runQuery(query(name)))]);
  expect(answers).toMatchObject(names.map((is) => [{ is }]));
  expect(statements.map(({ parameters: [first] }) => (Array.isArray(first) ? first.length : 1))).toEqual([
    1, 50, 50, 19,
  ]);
  expect(statements[0]).toEqual({ sql: 'select $1 as is, $2 as kind', parameters: ['k0', 'read'] });
  expect(statements[1]).toMatchObject({
    sql: expect.stringContaining('(select queries.value_1 as is, queries.value_2 as kind)'),
    parameters: [names.slice(1, 51), Array(50).fill('read')],
  });
});

it('a query batcher returns all rows of each query, and no rows if the response has none for a query', async () => {
  const { runQuery } = server(async (statements) => {
    const [first, ...others] = await echo(statements);
    return [
      ...others.flatMap((row) => [row, row]),
      ...(statements.sql.includes('unnest') ? [] : [first ?? {}]),
    ];
  });
  const answers = await Promise.all(['a', 'b', 'c'].map((name) => runQuery(query(name))));
  expect(answers).toMatchObject([[{ is: 'a' }, { is: 'a' }], [{ is: 'b' }, { is: 'b' }], []]);
});

it('a query batcher rejects all queries of a failed batch, and still answers later queries', async () => {
  let fails = true;
  const { runQuery } = server(async (statements) => {
    if (fails) throw new Error('away');
    return echo(statements);
  });
  const all = await Promise.allSettled(['a', 'b', 'c'].map((name) => runQuery(query(name))));
  expect(all.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  fails = false;
  expect(await runQuery(query('d'))).toMatchObject([{ is: 'd' }]);
});

it('a query batcher sends a batch a second time if the connection was lost', async () => {
  const runQuery = createQueryBatcher(async (statementOf) => {
    const first = statementOf();
    const second = statementOf();
    expect(second).toEqual(first);
    return echo(second);
  });
  const answers = await Promise.all(['a', 'b', 'c'].map((name) => runQuery(query(name))));
  expect(answers).toMatchObject([[{ is: 'a' }], [{ is: 'b' }], [{ is: 'c' }]]);
});

it('a query batcher rejects all waiting queries if no connection can be opened', async () => {
  const runQuery = createQueryBatcher(async () => Promise.reject(new Error('closed')));
  const all = await Promise.allSettled(['a', 'b'].map((name) => runQuery(query(name))));
  expect(all.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
});
