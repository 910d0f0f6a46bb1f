import { expect, it } from 'vitest';
import { createQueryBatcher, type RunPrepared } from '../../src/audit/postgres/query-batcher.ts';
import { postgresQueries } from '../../src/audit/postgres/rows.ts';
import { latest } from '../../src/audit/records/latest.ts';
import { indexedFingerprintQuery, type Template } from '../../src/audit/records/search.ts';

const query = { sql: 'select $1 as is, $2 as kind, $3 as again', parameters: ['', 'read', ''] };
const template = { query, valueIndexes: [0, undefined, 0] } as unknown as Template;

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
  return { statements, runTemplate: createQueryBatcher(run) };
}

async function echo({ sql, parameters: [first] }: Statement): Promise<readonly object[]> {
  if (!sql.includes('unnest')) return [{ is: first }];
  // The order of the rows does not matter.
  return (first as readonly string[]).map((value, index) => ({ nth: index + 1, is: value })).toReversed();
}

it('sends the first query alone and batches the queries that arrive meanwhile', async () => {
  const { statements, runTemplate } = server(echo);
  const names = Array.from({ length: 120 }, (_, n) => `k${n}`);
  const first = runTemplate(template, ['k0']);
  await Promise.resolve();
  const answers = await Promise.all([first, ...names.slice(1).map((name) => runTemplate(template, [name]))]);
  expect(answers).toMatchObject(names.map((is) => ({ is })));
  expect(statements.map(({ parameters: [first] }) => (Array.isArray(first) ? first.length : 1))).toEqual([
    1, 50, 50, 19,
  ]);
  expect(statements[0]).toEqual({ sql: query.sql, parameters: ['k0', 'read', 'k0'] });
  expect(statements[1]).toMatchObject({
    sql: expect.stringContaining('(select queries.value_0 as is, $2 as kind, queries.value_0 as again)'),
    parameters: [names.slice(1, 51), 'read'],
  });
});

it('resolves queries that have no row in the response', async () => {
  const { runTemplate } = server(async (statements) =>
    (await echo(statements)).filter((_, index) => index > 0),
  );
  const answers = await Promise.all(['a', 'b', 'c'].map((name) => runTemplate(template, [name])));
  expect(answers).toMatchObject([{ is: 'a' }, { is: 'b' }, undefined]);
});

it('does not treat a missing row as a missing record', async () => {
  const { runTemplate } = server(async () => []);
  const context = {
    db: postgresQueries,
    runQuery: async () => [],
    runTemplate,
    fingerprintQuery: indexedFingerprintQuery,
  };
  const statements = latest(context, { store: 's', key: 'k' }, ['read']);
  await expect(statements).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
});

it('rejects all queries of a failed batch and serves later ones', async () => {
  let fails = true;
  const { runTemplate } = server(async (statements) => {
    if (fails) throw new Error('away');
    return echo(statements);
  });
  const all = await Promise.allSettled(['a', 'b', 'c'].map((name) => runTemplate(template, [name])));
  expect(all.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  fails = false;
  expect(await runTemplate(template, ['d'])).toMatchObject({ is: 'd' });
});

it('repeats the same batch after the connection is lost', async () => {
  const runTemplate = createQueryBatcher(async (statementOf) => {
    const first = statementOf();
    const second = statementOf();
    expect(second).toEqual(first);
    return echo(second);
  });
  const answers = await Promise.all(['a', 'b', 'c'].map((name) => runTemplate(template, [name])));
  expect(answers).toMatchObject([{ is: 'a' }, { is: 'b' }, { is: 'c' }]);
});

it('rejects all waiting queries if no connection can be opened', async () => {
  const runTemplate = createQueryBatcher(async () => Promise.reject(new Error('closed')));
  const all = await Promise.allSettled(['a', 'b'].map((name) => runTemplate(template, [name])));
  expect(all.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
});
