/**
 * Execution times of statements in PostgreSQL, from the extension `pg_stat_statements`
 * (https://www.postgresql.org/docs/15/pgstatstatements.html).
 */

import { query } from '../test/integration/audit/database.ts';
import { type Postgres, startPostgres } from '../test/integration/services/postgres.ts';

/** Statements with fewer executions belong to the connection, not to the measurement. */
const LEAST_CALLS = 20;
const SHOWN_CHARACTERS = 60;

/** Starts a new PostgreSQL that measures each statement. */
export async function startMeasuringPostgres(): Promise<Postgres> {
  const server = await startPostgres({
    borrow: false,
    settings: { shared_preload_libraries: 'pg_stat_statements' },
  });
  await query(server.url, 'create extension pg_stat_statements');
  return server;
}

/** Prints the mean and the longest execution of each statement since the last call, in milliseconds. */
export async function printStatements(url: string): Promise<void> {
  const rows = await query(
    url,
    `select calls::int, mean_exec_time as mean, max_exec_time as longest, query from pg_stat_statements
      where calls >= ${LEAST_CALLS} and query ~* '^\\s*(select|insert|with)' order by total_exec_time desc`,
  );
  for (const { calls, mean, longest, query: text } of rows) {
    const start = String(text).replaceAll(/\s+/g, ' ').trim().slice(0, SHOWN_CHARACTERS);
    process.stdout.write(
      `  in PostgreSQL: n ${String(calls).padStart(5)}  mean ${ms(mean)}  max ${ms(longest)}  ${start}\n`,
    );
  }
  await query(url, 'select pg_stat_statements_reset()');
}

function ms(value: unknown): string {
  return Number(value).toFixed(2);
}
