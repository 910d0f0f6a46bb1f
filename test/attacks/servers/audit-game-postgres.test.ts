import { it } from 'vitest';
import { createDatabase } from '../../integration/audit/database.ts';
import { postgres } from '../../integration/services/inject.ts';
import { postgresDatabase } from './audit-database.ts';
import { playAuditGame } from './audit-game.ts';

const seedOf = (): number => Number(process.env.SECRETBRIDGE_TEST_SEED ?? Date.now() % 1_000_000_000);

it('30 random changes of a PostgreSQL audit and a checkpoint place deceive neither verification nor a sync', async () => {
  await using database = postgresDatabase(await createDatabase(postgres()));
  await playAuditGame(database, 30, seedOf());
});

it('1,000 random changes of a PostgreSQL audit and a checkpoint place deceive neither verification nor a sync', {
  tags: ['long'],
  timeout: 1_200_000,
}, async () => {
  await using database = postgresDatabase(await createDatabase(postgres()));
  await playAuditGame(database, 1_000, seedOf());
});
