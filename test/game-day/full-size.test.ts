import { it } from 'vitest';
import { FULL } from './options.ts';
import { play } from './play.ts';

it(
  'twenty minutes with 100 teams and 1,000 ConfigMaps leave each team with its own Secrets only',
  () => play(FULL),
  3_600_000,
);
