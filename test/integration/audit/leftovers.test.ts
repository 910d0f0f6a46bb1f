import { describeLeftovers } from '../../audit/leftovers.ts';
import { postgres } from '../services/inject.ts';
import { createDatabase } from './database.ts';

describeLeftovers('PostgreSQL', async () => {
  const database = await createDatabase(postgres());
  return {
    open: (replica) => database.open({ replica }),
    sql: async (text) => void (await database.sql(`set search_path = secretbridge; ${text}`)),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
});
