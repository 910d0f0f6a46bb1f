import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SecretValue } from '../../src/core/secret-value.ts';
import { benchFingerprints, openBench } from './bench.ts';
import {
  type At,
  exceptionOf,
  type Gives,
  type Stored,
  type StoreName,
  VALUES,
  type ValueCase,
} from './values.ts';

/** A store that holds what the table says. */
export interface ValueStore extends AsyncDisposable {
  readonly name: StoreName;
  readonly config: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string>>;
  /**
   * Gives the version, where the store has one.
   * @param keeps What the true store makes of the value, for a fake that does not.
   */
  put(key: string, stored: Stored, keeps: string | undefined): Promise<string | undefined>;
}

const all = VALUES.flatMap(({ title, cases }) => cases.map((one) => ({ ...one, group: title })));

/** Every case through the whole path: the text of a configuration, the store, the bytes in the cluster. */
export function describeValues(title: string, open: () => Promise<ValueStore>, name: StoreName): void {
  describe(`values of ${title}`, () => {
    let results: ReadonlyMap<string, Gives>;
    beforeAll(async () => {
      await using store = await open();
      results = await run(store);
    });
    let differing = 0;
    afterAll(() =>
      console.log(`values of ${title}: ${all.length} cases, ${differing} of them not as elsewhere`),
    );

    it.for(all)('$group: $title', (one, { skip }) => {
      const exception = exceptionOf(one, name);
      if (exception !== undefined) differing += 1;
      if (exception?.kind === 'cannot') skip(exception.why);
      expect(results.get(idOf(one))).toEqual(
        plain(exception?.kind === 'differs' ? exception.gives : one.gives),
      );
    });
  });
}

const idOf = (one: ValueCase) => `c${all.findIndex(({ title }) => title === one.title)}`;

async function run(store: ValueStore): Promise<ReadonlyMap<string, Gives>> {
  const isVault = store.name.startsWith('vault');
  const mappings: string[] = [];
  for (const one of all) {
    const exception = exceptionOf(one, store.name);
    if (exception?.kind === 'cannot') continue;
    const key = (name: string) => nameIn(store.name, `${idOf(one)}-${name}`);
    const versions: string[] = [];
    for (const stored of one.stored) {
      const version = await store.put(key(stored.key), stored, exception?.keeps);
      versions.push(version ?? benchFingerprints().value(SecretValue.fromBytes(Buffer.from(stored.value))));
    }
    const at: At = { key, versions, whole: isVault && !one.stored[0]?.isObject ? ', property: value' : '' };
    mappings.push(`\n  - { name: ${idOf(one)}, target: { namespace: apps }, ${one.mapping(at)} }`);
  }
  await using bench = await openBench({ store: store.config, env: store.env, mappings: mappings.join('') });
  const report = await bench.sync();
  return new Map(
    report.targets.map(({ target, error }) => [
      target.secret,
      error === undefined ? { data: dataOf(bench.cluster.raw(target)) } : { code: error.code },
    ]),
  );
}

function nameIn(store: StoreName, name: string): string {
  return store === 'azure' ? name.replaceAll('/', '-') : name;
}

function dataOf(raw: Readonly<Record<string, unknown>> | undefined): Readonly<Record<string, string>> {
  return { ...(raw?.data as Readonly<Record<string, string>> | undefined) };
}

/** Data as the cluster has it: base64, in which every byte counts. */
function plain(gives: Gives): Gives {
  if ('code' in gives) return gives;
  const data = Object.entries(gives.data).map(([name, value]) => [
    name,
    Buffer.from(value).toString('base64'),
  ]);
  return { data: Object.fromEntries(data) };
}
