import { stringify } from 'yaml';

export const NAMESPACES = ['soak-a', 'soak-b', 'soak-c', 'soak-d'] as const;

export const KINDS = [
  'plain',
  'spread',
  'template',
  'merge',
  'restart',
  'file',
  'partial',
  'pinned',
] as const;
export type Kind = (typeof KINDS)[number];

/** A mapping of the soak test. It creates one Secret with its name in each namespace. */
export interface Item {
  readonly name: string;
  readonly kind: Kind;
  readonly store: 'vault' | 'second' | 'local';
  /** The key of the source in its store, without the prefix. */
  readonly key: string;
  readonly refreshMs: number;
  /** Whether changes of the configuration add and remove this mapping. */
  readonly swapped: boolean;
}

/**
 * Returns the key of the second source of a `partial` item. The test removes this key from its store and restores it.
 */
export function secondKey({ key }: Item): string {
  return `${key}-second`;
}

/**
 * The current state of the stores and the configuration. Tests derive the expected content of every Secret from this
 * state.
 */
export interface World {
  readonly items: readonly Item[];
  /** A text in every value, which leak searches look for. */
  readonly marker: string;
  /** Returns the number of the last value that was written to a key. */
  version(key: string): number;
  setVersion(key: string, version: number): void;
  /** The keys that are absent from their store. */
  readonly absent: Set<string>;
  /** The pinned source version of each pinned target. */
  readonly pins: Map<string, number>;
  /** The names of the mappings with `swapped` that are currently in the configuration. */
  readonly present: Set<string>;
  /** The value of a label that some mappings set. Configuration changes replace this value. */
  label: string;
}

const REFRESHES = [60, 75, 90, 120];
/** The number of mappings of each kind, out of a hundred mappings. */
const MIX: readonly (readonly [Kind, number])[] = [
  ['plain', 50],
  ['spread', 10],
  ['template', 10],
  ['merge', 8],
  ['restart', 5],
  ['file', 7],
  ['partial', 5],
  ['pinned', 5],
];
/** The refresh is short, so an absence is proven within a few minutes. */
const PARTIAL_REFRESH_MS = 20_000;
export const ABSENCE = { readings: 3, over: '20s' } as const;
export const ABSENCE_MS = 20_000;
const SWAPPED = 6;

/** @param second Whether half of the mappings use a second store of the same kind. */
export function createWorld(targets: number, marker: string, second = false): World {
  const count = Math.max(20, Math.floor(targets / NAMESPACES.length) - SWAPPED);
  const kinds = MIX.flatMap(([kind, share]) => Array.from({ length: share }, () => kind));
  const items = Array.from({ length: count + SWAPPED }, (_, n): Item => {
    const swapped = n >= count;
    // 37 has no common divisor with the length of the list. Even a small number of mappings therefore includes every
    // kind.
    const kind = swapped ? 'plain' : (kinds[(n * 37) % kinds.length] ?? 'plain');
    return {
      name: `${swapped ? 'swap' : kind}-${n}`,
      kind,
      store: kind === 'file' ? 'local' : second && n % 2 === 0 ? 'second' : 'vault',
      key: kind === 'file' ? `file-${n}.txt` : `key-${n}`,
      refreshMs: kind === 'partial' ? PARTIAL_REFRESH_MS : (REFRESHES[n % REFRESHES.length] ?? 60) * 1_000,
      swapped,
    };
  });
  const versions = new Map<string, number>();
  return {
    items,
    marker,
    version: (key) => versions.get(key) ?? 1,
    setVersion: (key, version) => void versions.set(key, version),
    absent: new Set(),
    pins: new Map(),
    present: new Set(items.filter(({ swapped }, n) => swapped && n % 2 === 0).map(({ name }) => name)),
    label: 'one',
  };
}

export const LONGEST_REFRESH_MS = Math.max(...REFRESHES) * 1_000;

export function isPresent({ present }: World, { swapped, name }: Item): boolean {
  return !swapped || present.has(name);
}

/** Returns the fields of a secret in the store. */
export function fieldsOf({ marker }: World, key: string, version: number): Record<string, string> {
  const value = (field: string) => `${marker}/${key} ${field} ü #${version}`;
  return { user: value('user'), pass: value('pass') };
}

/** Returns the data of a Secret for a source version. For a `merge` item, only the keys of our mapping. */
export function expectedData(world: World, item: Item, version: number): Record<string, string> {
  const { user = '', pass = '' } = fieldsOf(world, item.key, version);
  switch (item.kind) {
    case 'spread':
      return { user, pass };
    case 'template':
      return { USER: user, PASS: pass, 'app.conf': `user=${user}\npass=${pass}\n` };
    case 'file':
      return { VALUE: user };
    case 'merge':
      return { PASS: pass };
    case 'partial': {
      const second = secondKey(item);
      const { user: more = '' } = fieldsOf(world, second, world.version(second));
      return { USER: user, PASS: pass, ...(world.absent.has(second) ? {} : { MORE: more }) };
    }
    default:
      return { USER: user, PASS: pass };
  }
}

const VERSION = /#(\d+)\s*$/;

/**
 * The source version of a Secret. Undefined when its data matches no version.
 * @param data The data in base64, as the API server returns it.
 */
export function versionIn(
  world: World,
  item: Item,
  data: Readonly<Record<string, string>>,
): number | undefined {
  const text = (name: string) => Buffer.from(data[name] ?? '', 'base64').toString('utf8');
  const [first = ''] = Object.keys(expectedData(world, item, 1));
  const version = Number(VERSION.exec(text(first))?.[1]);
  if (!(version > 0)) return undefined;
  const more = moreIn(item, data);
  const expected = expectedData(world, item, version);
  if (item.kind === 'partial') delete expected.MORE;
  if (more !== undefined) expected.MORE = fieldsOf(world, secondKey(item), more).user ?? '';
  const names = Object.keys(expected);
  if (item.kind !== 'merge' && Object.keys(data).length !== names.length) return undefined;
  return names.every((name) => text(name) === expected[name]) ? version : undefined;
}

/** The version of the second source in the data of a `partial` item. */
export function moreIn({ kind }: Item, { MORE = '' }: Readonly<Record<string, string>>): number | undefined {
  const version = Number(VERSION.exec(Buffer.from(MORE, 'base64').toString('utf8'))?.[1]);
  return kind === 'partial' && version > 0 ? version : undefined;
}

/**
 * Whether a target contains the current version of its sources. For a pinned target, whether it contains the pinned
 * version.
 */
export function isExpected(
  world: World,
  item: Item,
  target: string,
  { version, more }: { readonly version: number | undefined; readonly more: number | undefined },
): boolean {
  const second = secondKey(item);
  const expectedMore =
    item.kind === 'partial' && !world.absent.has(second) ? world.version(second) : undefined;
  return version === (world.pins.get(target) ?? world.version(item.key)) && more === expectedMore;
}

/** Returns the mappings as the text of a configuration file. */
export function mappingsText(world: World, prefix: string): string {
  const mappings = world.items
    .filter((item) => isPresent(world, item))
    .map((item) => mappingOf(world, item, prefix));
  return stringify({ apiVersion: 'secretbridge.dev/v1', mappings });
}

function mappingOf({ label }: World, item: Item, prefix: string): object {
  const key = `${prefix}/${item.key}`;
  const { name, kind, refreshMs, store } = item;
  const from = (property: string) => ({ store, key, property });
  const target = {
    namespaces: [...NAMESPACES],
    ...(kind === 'merge' ? { mode: 'merge' } : {}),
    ...(kind === 'template' ? { labels: { soak: label } } : {}),
  };
  const both = { USER: from('user'), PASS: from('pass') };
  const rest = { refresh: `${refreshMs / 1_000}s`, onMappingRemoved: item.swapped ? 'delete' : 'keep' };
  switch (kind) {
    case 'spread':
      return { name, target, dataFrom: [{ store, key }], ...rest };
    case 'template':
      return {
        name,
        target,
        data: both,
        template: { data: { 'app.conf': 'user={{ USER }}\npass={{ PASS }}\n' } },
        ...rest,
      };
    case 'merge':
      return { name, target, data: { PASS: from('pass') }, ...rest };
    case 'restart':
      return { name, target, data: both, restart: [{ kind: 'Deployment', name }], ...rest };
    case 'file':
      return { name, target, data: { VALUE: { store, key: item.key } }, ...rest };
    case 'partial': {
      const second = { store, key: `${prefix}/${secondKey(item)}`, property: 'user' };
      return { name, target, data: { ...both, MORE: second }, ...rest, onSourceMissing: 'removeKeys' };
    }
    default:
      return { name, target, data: both, ...rest };
  }
}
