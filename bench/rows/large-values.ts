import { setTimeout as sleep } from 'node:timers/promises';
import { type Benchmark, type Row, row } from '../harness/row.ts';
import { startBuilt } from '../world/built.ts';
import { openFleet } from '../world/fleet.ts';
import { openLab } from '../world/lab.ts';
import { isReady, waitUntil } from '../world/process.ts';

const TARGETS = 90;
/** Base64 and metadata of the Secret stay below what etcd takes, 1.5 MiB. */
const BYTES = 2 ** 20 - 64 * 1_024;
/** AWS gives at most 64 KiB, so Vault has them all. */
const REFRESH_S = 20;

export const largeValues: Benchmark = {
  name: 'large-values',
  title: `${TARGETS} Secrets of nearly 1 MiB, out of Vault`,
  goal: 'RSS < 256 MiB after a first sync and ten passes',
  async run(options): Promise<readonly Row[]> {
    await using lab = await openLab(options);
    const [namespace = ''] = await lab.namespaces(1);
    const targets = options.quick ? TARGETS / 10 : TARGETS;
    const place = await openFleet(lab, {
      mappings: targets,
      namespaces: [namespace],
      refresh: `${REFRESH_S}s`,
      valueBytes: BYTES,
      fields: ['BLOB'],
      stores: ['vault'],
    });
    await using run = await startBuilt(['serve'], place);
    await waitUntil('the start', run, () => isReady(place.port));
    await waitUntil('the first sync', run, async () => (await lab.secrets(namespace)) >= targets);
    const first = await run.seen();
    options.report(`first sync: ${Math.round(first.rssMb)} MB`);
    const passes = options.quick ? 1 : 10;
    for (let pass = 1; pass <= passes; pass += 1) {
      await Promise.race([sleep(REFRESH_S * 1_000), run.lost]);
      options.report(`pass ${pass}: ${Math.round((await run.seen()).rssMb)} MB`);
    }
    const { rssMb, mostMb } = await run.seen();
    await run.stop();
    return [
      row({
        id: 'memory/large',
        title: `the most, ${targets} targets of nearly 1 MiB, first sync and ${passes} passes`,
        unit: 'MB',
        value: mostMb,
        goal: { value: 256 },
        detail: { afterFirstSync: Math.round(first.rssMb), atTheEnd: Math.round(rssMb) },
      }),
    ];
  },
};
