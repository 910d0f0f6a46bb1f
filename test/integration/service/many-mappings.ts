import { expect } from 'vitest';
import type { ServiceProcess } from './service-process.ts';
import { base64, type World, type WorldOptions } from './world.ts';

/** A configuration of `count` mappings. Each reads one property of the key `app`. */
export function manyMappings(count: number, sections = ''): WorldOptions['config'] {
  return ({ prefix, ns }) => `${sections}
mappings:
${range(count)
  .map(
    (n) => `  - name: m${n}
    target: { namespace: ${ns('apps')} }
    data: { A: { store: vault, key: ${prefix}/app, property: p${n} } }
`,
  )
  .join('')}`;
}

export function seed(world: World, count: number, value: string): Promise<void> {
  return world.vault.put('app', Object.fromEntries(range(count).map((n) => [`p${n}`, `${value} ${n}`])));
}

export async function expectValues(world: World, count: number, value: string): Promise<void> {
  for (const n of range(count)) expect((await world.secret(`m${n}`))?.data?.A).toBe(base64(`${value} ${n}`));
}

export async function expectSynced(served: ServiceProcess, count: number): Promise<void> {
  const { targets } = await served.status();
  expect(targets.filter(({ state }) => state !== 'synced').slice(0, 3)).toEqual([]);
  expect(targets).toHaveLength(count);
}

export function range(count: number): readonly number[] {
  return Array.from({ length: count }, (_, n) => n);
}
