import { createMemoryQueue } from '../../src/queue/memory.ts';
import { describeQueue } from '../conformance/queue.ts';

describeQueue('the queue in memory', async () => ({
  shared: false,
  open: async ({ concurrency = 4 } = {}) => createMemoryQueue({ concurrency }),
  [Symbol.asyncDispose]: async () => {},
}));
