import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { mapConcurrently } from '../../../src/core/semaphore.ts';
import { installProgram } from './installed-program.ts';
import { within } from './service-process.ts';
import { openTeamWorld } from './team-maps.ts';
import { base64 } from './world.ts';

const NAMESPACES = 50;
const MAPS = 100;

/** Returns the processor time of a process. The unit of the kernel is a hundredth of a second. */
async function processorMs(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

it('5,000 ConfigMaps stay under 256 MiB, and a change applies within two seconds', async () => {
  const shorts = Array.from({ length: NAMESPACES }, (_, index) => `t${index}`);
  await using program = await installProgram();
  await using world = await openTeamWorld(shorts, { program });
  await using served = await world.serve();
  await mapConcurrently(shorts, 8, async (short) => {
    await world.vault.put(`${world.ns(short)}/db`, { a: 'first' });
    for (let index = 0; index < MAPS; index += 1)
      await world.putMap(short, `map-${index}`, world.mapText(short, { name: `app-${index}` }));
  });
  const hasLast = async (short: string) => expect(await world.secret(`app-${MAPS - 1}`, short)).toBeDefined();
  for (const short of shorts) await within(180_000, () => hasLast(short), 500);
  // Each answer has more than a megabyte, so ask seldom.
  const isSynced = async () => {
    const { targets } = await served.status();
    expect(targets.filter(({ state }) => state === 'synced')).toHaveLength(NAMESPACES * MAPS);
  };
  await within(180_000, isSynced, 2_000);
  /** Returns the time until a new mapping applies, and the processor time of the service until then. */
  const add = async (short: string, map: string, name: string) => {
    const before = await processorMs(served.pid);
    await world.putMap(short, map, world.mapText(short, { name: map.replace('map', 'app') }, { name }));
    const ms = await within(60_000, async () =>
      expect((await world.secret(name, short))?.data).toEqual({ A: base64('first') }),
    );
    return { ms, processorMs: (await processorMs(served.pid)) - before };
  };
  const sizeOf = async (name: string) => {
    const status = await readFile(`/proc/${served.pid}/status`, 'utf8');
    return Math.round(Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1024);
  };
  // The service created thousands of Secrets in some seconds. Then it returns the memory that only this needed.
  await within(60_000, async () => expect(await sizeOf('VmRSS')).toBeLessThan(225), 1_000);
  const peak = await sizeOf('VmHWM');
  const quiet = await sizeOf('VmRSS');
  const changed = await add('t7', 'map-7', 'late');
  await world.putMap('t8', 'map-8', 'mappings: 1');
  const beside = await add('t9', 'map-9', 'beside');
  const resident = await sizeOf('VmRSS');
  console.log({ peak, quiet, resident, changed, beside });
  // The machine of the test may be busy with other work. Then only the processor time is comparable.
  expect(Math.min(changed.ms, changed.processorMs)).toBeLessThan(2_000);
  expect(Math.min(beside.ms, beside.processorMs)).toBeLessThan(2_000);
  expect(resident).toBeLessThan(256);
  expect(peak).toBeLessThan(300);
});
