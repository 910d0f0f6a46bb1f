import { describe } from 'vitest';
import { describeChaos, STORE } from './chaos.ts';

describe('events under random faults', () => {
  describeChaos(
    'hints without a transport',
    async (take, origin) => ({
      deliver: (key) => void take([{ store: STORE, keys: [key] }], origin),
      drained: async () => undefined,
      [Symbol.asyncDispose]: async () => undefined,
    }),
    [1],
  );
});
