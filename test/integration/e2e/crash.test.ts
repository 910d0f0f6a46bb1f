import { describe, expect, it } from 'vitest';
import { type Bench, openBench, openIntents, recordedChanges } from './bench.ts';
import { manyMappings, seed, wrongTargets } from './many-mappings.ts';
import { createRandom } from './random.ts';
import type { Witness } from './witness.ts';

const COUNT = 40;
const KILLS = process.env.SECRETBRIDGE_TEST_LONG === '1' ? 30 : 10;
const SEED = Number(process.env.SECRETBRIDGE_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));

interface Kill {
  /** The number of targets written before the kill. */
  readonly written: number;
  readonly openIntents: number;
}

describe(`kill -9 at ${KILLS} random moments of a sync (seed ${SEED})`, () => {
  it('the killed sync leaves only damage that the next sync repairs and records', async () => {
    const random = createRandom(SEED);
    await using bench = await openBench({ mappings: manyMappings(COUNT), inProcess: true });
    await seed(bench, COUNT);
    await using witness = await bench.witness();
    const startedAt = performance.now();
    expect(await bench.sync()).toMatchObject({ code: 0, summary: { created: COUNT } });
    const usualMs = performance.now() - startedAt;

    const kills: Kill[] = [];
    for (let round = 1; round <= KILLS; round += 1) {
      const label = `seed ${SEED}, kill ${round}`;
      await seed(bench, COUNT, round);
      // Two of three runs die after a given number of writes. The others die at a random time.
      const moment =
        round % 3 === 0 ? { ms: random() * usualMs } : { writes: 1 + Math.floor(random() * (COUNT - 1)) };
      kills.push(await kill(bench, witness, moment));

      const report = await bench.sync();
      expect(report, `${label}: ${report.stdout.slice(0, 400)} ${report.stderr}`).toMatchObject({
        code: 0,
        ok: true,
      });
      expect(await wrongTargets(bench, COUNT, () => round), label).toEqual([]);
      const records = await bench.records();
      expect(openIntents(records), label).toEqual([]);
      expect(recordedChanges(records).toSorted(), label).toEqual(
        (await witness.changes()).map((change) => `${change.secret} ${change.resourceVersion}`).toSorted(),
      );
    }
    const records = await bench.records();
    expect(await bench.chain()).toMatchObject({ kind: 'intact', records: records.length });
    const duringWrites = kills.filter(({ written }) => written > 0 && written < COUNT).length;
    const withOpenIntents = kills.filter((killResult) => killResult.openIntents > 0).length;
    const intents = kills.reduce((sum, killResult) => sum + killResult.openIntents, 0);
    console.log(
      `seed ${SEED}: ${KILLS} kills, ${duringWrites} of them during the writes, ${withOpenIntents} left ${intents} intents open; ${records.length} records`,
    );
    // With fewer kills during writes, the test would prove little.
    expect(duringWrites).toBeGreaterThanOrEqual(Math.floor(KILLS / 4));
    expect(withOpenIntents).toBeGreaterThan(0);
  }, 400_000);
});

async function kill(
  bench: Bench,
  witness: Witness,
  moment: { readonly ms: number } | { readonly writes: number },
): Promise<Kill> {
  const before = witness.received.length;
  const { child, result } = bench.start('sync', '--output', 'json');
  const killNow = () => void child.kill('SIGKILL');
  const timer = 'ms' in moment ? setTimeout(killNow, moment.ms) : undefined;
  witness.onChange = () => {
    if ('writes' in moment && witness.received.length - before >= moment.writes) killNow();
  };
  await result;
  clearTimeout(timer);
  witness.onChange = undefined;
  return {
    written: (await witness.changes()).length - before,
    openIntents: openIntents(await bench.records()).length,
  };
}
