import { expect, it } from 'vitest';
import { entry } from '../../audit/sample.ts';
import { postgres } from '../services/inject.ts';
import { createDatabase } from './database.ts';

it('appends at least 2,000 records a second in batches', async () => {
  await using database = await createDatabase(postgres());
  await using store = await database.open();
  const batch = Array.from({ length: 100 }, () => entry());
  await store.append(batch);
  const start = performance.now();
  for (let n = 0; n < 100; n += 1) await store.append(batch);
  const batched = 10_000 / ((performance.now() - start) / 1000);

  const times: number[] = [];
  for (let n = 0; n < 300; n += 1) {
    const startOne = performance.now();
    await store.append([entry()]);
    times.push(performance.now() - startOne);
  }
  times.sort((a, b) => a - b);
  const percentile = (share: number) => (times[Math.floor(times.length * share)] ?? 0).toFixed(1);
  process.stdout.write(
    `append: ${Math.round(batched)} records/s in batches of 100; alone p50 ${percentile(0.5)} ms, p99 ${percentile(0.99)} ms\n`,
  );
  expect(batched).toBeGreaterThan(2_000);
});
