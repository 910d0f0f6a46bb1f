import { expect, it } from 'vitest';
import { postgresQueries } from '../../src/audit/postgres/rows.ts';
import { type RunPrepared, createQueryBatcher } from '../../src/audit/postgres/query-batcher.ts';
import { latest } from '../../src/audit/records/latest.ts';
import { indexedFingerprintQuery, type Template } from '../../src/audit/records/search.ts';

const query = { sql: 'select $1 as is, $2 as kind, $3 as again', parameters: ['', 'read', ''] };
const template = { query, valueIndexes: [0, undefined, 0] } as unknown as Template;

interface Asked {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

/** A database with one connection: statements run one after the other. */
function server(answer: (asked: Asked) => Promise<readonly object[]>) {
  const asked: Asked[] = [];
  let turn: Promise<unknown> = Promise.resolve();
  const ask: RunPrepared = (statementOf) => {
    const mine = turn.then(() => {
      const statement = statementOf();
      asked.push(statement);
      return answer(statement);
    });
    turn = Promise.allSettled([mine]);
    return mine;
  };
  return { asked, runTemplate: createQueryBatcher(ask) };
}

async function echo({ sql, parameters: [first] }: Asked): Promise<readonly object[]> {
  if (!sql.includes('unnest')) return [{ is: first }];
  // The order of the rows does not matter.
  return (first as readonly string[]).map((value, index) => ({ nth: index + 1, is: value })).toReversed();
}

it('sends the first query alone and batches those that arrive meanwhile', async () => {
  const { asked, runTemplate } = server(echo);
  const names = Array.from({ length: 120 }, (_, n) => `k${n}`);
  const first = runTemplate(template, ['k0']);
  await Promise.resolve();
  const answers = await Promise.all([first, ...names.slice(1).map((name) => runTemplate(template, [name]))]);
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

it('resolves queries that have no row in the answer', async () => {
  const { runTemplate } = server(async (asked) => (await echo(asked)).filter((_, index) => index > 0));
  const answers = await Promise.all(['a', 'b', 'c'].map((name) => runTemplate(template, [name])));
  expect(answers).toMatchObject([{ is: 'a' }, { is: 'b' }, undefined]);
});

it('does not treat a missing row as "no record"', async () => {
  const { runTemplate } = server(async () => []);
  const context = {
    db: postgresQueries,
    runQuery: async () => [],
    runTemplate,
    fingerprintQuery: indexedFingerprintQuery,
  };
  const asked = latest(context, { store: 's', key: 'k' }, ['read']);
  await expect(asked).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
});

it('rejects all queries of a failed batch and answers later ones', async () => {
  let fails = true;
  const { runTemplate } = server(async (asked) => {
    if (fails) throw new Error('away');
    return echo(asked);
  });
  const all = await Promise.allSettled(['a', 'b', 'c'].map((name) => runTemplate(template, [name])));
  expect(all.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  fails = false;
  expect(await runTemplate(template, ['d'])).toMatchObject({ is: 'd' });
});

it('repeats the same batch after a lost connection', async () => {
  const runTemplate = createQueryBatcher(async (statementOf) => {
    const first = statementOf();
    const second = statementOf();
    expect(second).toEqual(first);
    return echo(second);
  });
  const answers = await Promise.all(['a', 'b', 'c'].map((name) => runTemplate(template, [name])));
  expect(answers).toMatchObject([{ is: 'a' }, { is: 'b' }, { is: 'c' }]);
});

it('rejects all waiting queries if no connection can be made', async () => {
  const runTemplate = createQueryBatcher(async () => Promise.reject(new Error('closed')));
  const all = await Promise.allSettled(['a', 'b'].map((name) => runTemplate(template, [name])));
  expect(all.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
});
