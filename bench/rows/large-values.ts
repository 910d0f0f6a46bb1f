import { type Benchmark, type Row, row } from '../harness/row.ts';
import { openFleet } from '../world/fleet.ts';
import { openLab } from '../world/lab.ts';
import { startProgram } from '../world/program.ts';
import { TARGET_CHANGED } from '../world/runs.ts';
import { isReady, waitFor, waitUntil } from '../world/wait.ts';

const TARGETS = 90;
/** The base64 data and the metadata of one Secret must fit into etcd's limit of 1.5 MiB. */
const BYTES = 2 ** 20 - 64 * 1_024;
const REFRESH_S = 20;

export const largeValues: Benchmark = {
  name: 'large-values',
  title: `${TARGETS} Secrets of almost 1 MiB from Vault`,
  goal: 'RSS < 256 MiB after a first sync and ten cycles',
  async run(options): Promise<readonly Row[]> {
    await using lab = await openLab(options);
    const [namespace = ''] = await lab.namespaces(1);
    const targets = options.quick ? TARGETS / 10 : TARGETS;
    const workspace = await openFleet(lab, {
      mappings: targets,
      namespaces: [namespace],
      refresh: `${REFRESH_S}s`,
      valueBytes: BYTES,
      fields: ['BLOB'],
      // All values are in Vault, because AWS allows at most 64 KiB for each value.
      stores: ['vault'],
    });
    await using run = await startProgram(['serve'], workspace);
    await waitUntil('the start', run, () => isReady(workspace));
    await run.untilLogged(TARGET_CHANGED, targets);
    const first = await run.usage();
    options.report(`first sync: ${Math.round(first.rssMb)} MB`);
    const cycles = options.quick ? 1 : 10;
    for (let cycle = 1; cycle <= cycles; cycle += 1) {
      await waitFor(REFRESH_S * 1_000, run);
      options.report(`cycle ${cycle}: ${Math.round((await run.usage()).rssMb)} MB`);
    }
    const { rssMb, maxRssMb } = await run.usage();
    await run.stop();
    return [
      row({
        id: 'memory/large',
        title: `peak, ${targets} targets of almost 1 MiB, first sync and ${cycles} cycles`,
        unit: 'MB',
        value: maxRssMb,
        goal: { value: 256 },
        detail: { afterFirstSync: Math.round(first.rssMb), atTheEnd: Math.round(rssMb) },
      }),
    ];
  },
};
