import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openWorld, type World, type WorldOptions } from '../integration/service/world.ts';

/** Two tenants on real servers. Each has a file, and a namespace with the name of its team. */
export interface Teams extends AsyncDisposable {
  readonly world: World;
  write(team: 'a' | 'b', mappings: string): Promise<void>;
}

/** Returns a mapping of a team, which reads the property `a` of the key with the name of the mapping. */
export function mappingOf({ ns, prefix }: World, team: 'a' | 'b', name: string, more = ''): string {
  return `  - { name: ${name}, target: { namespace: ${ns(team)} }, data: { A: { store: vault, key: ${prefix}/${name}, property: a } }${more} }\n`;
}

/** @param limits What the operator allows team A, as members of `limits`. */
export async function openTeams(
  { a, b }: { readonly a: (world: World) => string; readonly b: (world: World) => string },
  limits = '',
  options: Partial<WorldOptions> = {},
): Promise<Teams> {
  const world = await openWorld({
    ...{ namespaces: ['a', 'b'], granted: false, scope: 'namespace', ...options },
    config: ({ prefix, ns }) => `include:
  - { path: teams/a, namespaces: ['${ns('a')}'], stores: [vault], keys: ['${prefix}/**'], limits: { ${limits} } }
  - { path: teams/b, namespaces: ['${ns('b')}'], stores: [vault], keys: ['${prefix}/**'], limits: { refresh: 2s } }
`,
  });
  const write = async (team: string, mappings: string) => {
    const folder = join(world.folder, 'teams', team);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'one.yaml'), mappings);
  };
  await write('a', `mappings:\n${a(world)}`);
  await write('b', `mappings:\n${b(world)}`);
  await world.grant();
  return { world, write, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() };
}
