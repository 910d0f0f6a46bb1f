import { describeOrphanRows } from '../../audit/orphan-rows.ts';
import { postgres } from '../services/inject.ts';
import { createDatabase } from './database.ts';

describeOrphanRows('PostgreSQL', async () => {
  const database = await createDatabase(postgres());
  return {
    open: (replica) => database.open({ replica }),
    sql: async (text) => void (await database.sql(`set search_path = secretbridge; ${text}`)),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
});
