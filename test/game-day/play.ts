import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import { gameDay } from './game-day.ts';
import type { GameOptions } from './options.ts';

/** Plays a game day. The environment can repeat the order of a run, and change its length. */
export async function play(size: Omit<GameOptions, 'seed' | 'report'>): Promise<void> {
  const { checks, title } = await gameDay({
    ...size,
    minutes: Number(process.env.SECRETBRIDGE_TEST_GAME_MINUTES ?? size.minutes),
    seed: Number(process.env.SECRETBRIDGE_TEST_GAME_SEED ?? randomBytes(4).readUInt32BE(0)),
    report: (line) => console.log(line),
  });
  const failed = checks.filter(({ ok }) => ok === false).map(({ name, says }) => `${name}: ${says}`);
  // The whole text, because a matcher would shorten it.
  if (failed.length > 0) expect.fail([title, ...failed].join('\n'));
}
