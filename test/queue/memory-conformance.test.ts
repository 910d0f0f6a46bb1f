import { createMemoryQueue } from '../../src/queue/memory.ts';
import { describeQueue } from '../conformance/queue.ts';

describeQueue('memory queue', async () => ({
  shared: false,
  open: async ({ concurrency = 4 } = {}) => createMemoryQueue({ concurrency }),
  [Symbol.asyncDispose]: async () => {},
}));
