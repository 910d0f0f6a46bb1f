import { describe, expect, it } from 'vitest';
import { type Bench, openBench, openIntents, recordedChanges } from './bench.ts';
import { manyMappings, seed, wrongTargets } from './many.ts';
import { createRandom } from './random.ts';
import type { Witness } from './witness.ts';

const COUNT = 40;
const KILLS = Number(process.env.SECRETBRIDGE_TEST_KILLS ?? 30);
const SEED = Number(process.env.SECRETBRIDGE_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));

interface Kill {
  /** How many targets had been written when it died. */
  readonly written: number;
  readonly openIntents: number;
}

describe(`kill -9 at ${KILLS} random moments of a sync (seed ${SEED})`, () => {
  it('leaves nothing that the next sync does not put right and record', async () => {
    const random = createRandom(SEED);
    await using bench = await openBench({ mappings: manyMappings(COUNT), here: true });
    await seed(bench, COUNT);
    await using witness = await bench.witness();
    const startedAt = performance.now();
    expect(await bench.sync()).toMatchObject({ code: 0, summary: { created: COUNT } });
    const usualMs = performance.now() - startedAt;

    const kills: Kill[] = [];
    for (let round = 1; round <= KILLS; round += 1) {
      const about = `seed ${SEED}, kill ${round}`;
      await seed(bench, COUNT, round);
      // Two in three die when a certain number of writes has been seen, the others at any time of their life.
      const when =
        round % 3 === 0 ? { ms: random() * usualMs } : { writes: 1 + Math.floor(random() * (COUNT - 1)) };
      kills.push(await kill(bench, witness, when));

      const report = await bench.sync();
      expect(report, `${about}: ${report.stdout.slice(0, 400)} ${report.stderr}`).toMatchObject({
        code: 0,
        ok: true,
      });
      expect(await wrongTargets(bench, COUNT, () => round), about).toEqual([]);
      const records = await bench.records();
      expect(openIntents(records), about).toEqual([]);
      expect(recordedChanges(records).toSorted(), about).toEqual(
        (await witness.changes()).map((it) => `${it.secret} ${it.resourceVersion}`).toSorted(),
      );
    }
    const records = await bench.records();
    expect(await bench.chain()).toMatchObject({ kind: 'intact', records: records.length });
    const amid = kills.filter(({ written }) => written > 0 && written < COUNT).length;
    const open = kills.filter((it) => it.openIntents > 0).length;
    const intents = kills.reduce((sum, it) => sum + it.openIntents, 0);
    console.log(
      `seed ${SEED}: ${KILLS} kills, ${amid} of them amid the writes, ${open} left ${intents} intents open; ${records.length} records`,
    );
    // Otherwise it has proved little.
    expect(amid).toBeGreaterThanOrEqual(Math.floor(KILLS / 4));
    if (KILLS >= 10) expect(open).toBeGreaterThan(0);
  }, 400_000);
});

async function kill(
  bench: Bench,
  witness: Witness,
  when: { readonly ms: number } | { readonly writes: number },
): Promise<Kill> {
  const before = witness.seen.length;
  const { child, result } = bench.start('sync', '--output', 'json');
  const die = () => void child.kill('SIGKILL');
  const timer = 'ms' in when ? setTimeout(die, when.ms) : undefined;
  witness.onChange = () => {
    if ('writes' in when && witness.seen.length - before >= when.writes) die();
  };
  await result;
  clearTimeout(timer);
  witness.onChange = undefined;
  return {
    written: (await witness.changes()).length - before,
    openIntents: openIntents(await bench.records()).length,
  };
}
