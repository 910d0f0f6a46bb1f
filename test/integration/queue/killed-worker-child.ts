import { openQueue } from './harness.ts';

// Takes one job, prints a line, and never completes the job.
const [url = ''] = process.argv.slice(2);
const queue = await openQueue(url);
queue.start(async () => {
  process.stdout.write('running\n');
  await new Promise(() => {});
  return undefined;
});
