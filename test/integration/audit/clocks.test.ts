import { describeClocks } from '../../conformance/audit-clocks.ts';
import { postgres } from '../services/inject.ts';
import { createDatabase } from './database.ts';

describeClocks('postgres', async (clock) => {
  const database = await createDatabase(postgres());
  return {
    store: await database.open({ clock }),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
});
