import { it } from 'vitest';
import { sqliteDatabase } from './audit-database.ts';
import { playAuditGame } from './audit-game.ts';

const seedOf = (): number => Number(process.env.SECRETBRIDGE_TEST_SEED ?? Date.now() % 1_000_000_000);

it('100 random changes of a SQLite audit and a checkpoint place deceive neither verification nor a sync', async () => {
  await using database = await sqliteDatabase();
  await playAuditGame(database, 100, seedOf());
});

it('1,000 random changes of a SQLite audit and a checkpoint place deceive neither verification nor a sync', {
  tags: ['long'],
  timeout: 600_000,
}, async () => {
  await using database = await sqliteDatabase();
  await playAuditGame(database, 1_000, seedOf());
});
