import { it } from 'vitest';
import { SMALL } from '../../game-day/options.ts';
import { play } from '../../game-day/play.ts';

it('a minute with 20 teams leaves each team with its own Secrets only', () => play(SMALL), 900_000);
