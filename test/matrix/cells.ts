import type { TargetId } from '../../src/core/target.ts';

/**
 * How a target uses the sources `gone` and `stays`. `gone` fails. `stays` fails too if the fault affects the whole
 * store.
 */
const SHAPES = {
  one: 'data: { GONE: { store: s, key: gone, property: a } }',
  two: 'data: { GONE: { store: s, key: gone, property: a }, STAYS: { store: s, key: stays, property: a } }',
  optional:
    'data: { GONE: { store: s, key: gone, property: a, optional: true }, STAYS: { store: s, key: stays, property: a } }',
  spread:
    'data: { STAYS: { store: s, key: stays, property: a } }, dataFrom: [ { store: s, key: gone, rename: { prefix: S_ } } ]',
  find: 'dataFrom: [ { store: s, find: { path: found/ } } ]',
} as const;
type Shape = keyof typeof SHAPES;

const POLICIES = ['keep', 'removeKeys', 'delete'] as const;

/**
 * The owner of the target. `adopted`: adopted before the store failed. `adopting`: allowed to be adopted, but the store
 * already fails in the first cycle.
 */
export type Ownership = 'owned' | 'adopted' | 'foreign' | 'adopting' | 'missing' | 'merged';

export interface Cell {
  readonly name: string;
  readonly shape: Shape;
  readonly policy: (typeof POLICIES)[number];
  readonly ownership: Ownership;
}

const SHAPES_OF: Readonly<Record<Ownership, readonly Shape[]>> = {
  owned: ['one', 'two', 'optional', 'spread', 'find'],
  adopted: ['one', 'two', 'find'],
  foreign: ['one', 'two'],
  adopting: ['one', 'optional'],
  missing: ['one', 'optional'],
  merged: ['two'],
};

export const cells: readonly Cell[] = (Object.keys(SHAPES_OF) as Ownership[]).flatMap((ownership) =>
  SHAPES_OF[ownership].flatMap((shape) =>
    POLICIES.map((policy) => ({
      name: `${ownership}-${shape}-${policy.toLowerCase()}`,
      shape,
      policy,
      ownership,
    })),
  ),
);

/**
 * The owners of targets that exist while the store is healthy. Targets with other owners are added when the store
 * fails.
 */
export const HEALTHY: readonly Ownership[] = ['owned', 'adopted', 'foreign', 'merged'];

export const THEIRS = {
  type: 'Opaque',
  metadata: { labels: { team: 'theirs' } },
  data: { THEIRS: base64('theirs') },
};

/**
 * Returns the mappings in YAML. The additional target `bystander` reads only `stays`, so a failure of `gone` must not
 * affect it.
 */
export function mappingsOf(
  key: (name: string) => string,
  ownerships: readonly Ownership[] = Object.keys(SHAPES_OF) as Ownership[],
): string {
  const entries = cells
    .filter(({ ownership }) => ownerships.includes(ownership))
    .map((cell) => {
      const { name, shape, policy, ownership } = cell;
      const adopts = ownership === 'adopted' || ownership === 'adopting';
      const mode = ownership === 'merged' ? ', mode: merge' : '';
      const sources = SHAPES[shape].replaceAll('found/', key('found/'));
      return `\n  - { name: ${name}, target: { namespace: apps${mode} }, onSourceMissing: ${policy}, onConflict: ${adopts ? 'adopt' : 'refuse'}, ${sources} }`;
    });
  return `${entries.join('')}\n  - { name: bystander, target: { namespace: apps }, data: { STAYS: { store: s, key: stays, property: a } } }`;
}

export function idOf({ name }: Pick<Cell, 'name'>): TargetId {
  return { namespace: 'apps', secret: name };
}

export function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
