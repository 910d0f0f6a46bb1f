import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SecretValue } from '../../src/core/secret-value.ts';
import { PROVIDERS } from '../../src/providers/registry.ts';
import { benchFingerprints, openBench, problemsOf } from './bench.ts';
import {
  type At,
  exceptionOf,
  type Gives,
  type Stored,
  type StoreName,
  type ValueCase,
} from './table/case.ts';
import { VALUES } from './values.ts';

/** A store into which the suite writes the values of the table. */
export interface ValueStore extends AsyncDisposable {
  readonly name: StoreName;
  readonly config: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string>>;
  /**
   * Writes a value and returns its version, if the store has versions.
   * @param keeps The text that a real store holds if it changes the value. The fake stores this text.
   */
  put(key: string, stored: Stored, keeps: string | undefined): Promise<string | undefined>;
}

const all = VALUES.flatMap(({ title, cases }) => cases.map((one) => ({ ...one, group: title })));

/** Runs every case from the configuration text through the store to the bytes in the cluster. */
export function describeValues(title: string, open: () => Promise<ValueStore>, name: StoreName): void {
  describe(`values of ${title}`, () => {
    let results: ReadonlyMap<string, Gives>;
    beforeAll(async () => {
      await using store = await open();
      results = await run(store);
    });
    let differing = 0;
    afterAll(() =>
      console.log(`values of ${title}: ${all.length} cases, ${differing} of them differ from other stores`),
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

const NEVER: Readonly<Record<StoreName, string>> = {
  'vault-2': '99',
  'vault-1': `${benchFingerprints().keyId}:${'0'.repeat(64)}`,
  aws: '00000000-0000-4000-8000-000000000000',
  parameters: '99',
  azure: '0'.repeat(32),
  files: `${benchFingerprints().keyId}:${'0'.repeat(64)}`,
};

const idOf = (one: ValueCase) => `c${all.findIndex(({ title }) => title === one.title)}`;

async function run(store: ValueStore): Promise<ReadonlyMap<string, Gives>> {
  const isVault = store.name.startsWith('vault');
  const mappings = new Map<string, string>();
  for (const one of all) {
    const exception = exceptionOf(one, store.name);
    if (exception?.kind === 'cannot') continue;
    const key = (name: string) => nameIn(store.name, `${idOf(one)}-${name}`);
    const versions: string[] = [];
    for (const stored of one.stored) {
      const version = await store.put(key(stored.key), stored, exception?.keeps);
      versions.push(version ?? benchFingerprints().value(SecretValue.fromBytes(Buffer.from(stored.value))));
    }
    const ending = isVault && !one.stored[0]?.isObject ? ', property: value' : '';
    const at: At = { key, versions, whole: ending, never: NEVER[store.name] };
    const mapping = `\n  - { name: ${idOf(one)}, target: { namespace: apps }, ${one.mapping(at)} }`;
    mappings.set(idOf(one), mapping);
  }
  const options = { store: store.config, env: store.env };
  const results = new Map<string, Gives>();
  // A mapping with a configuration error gets its code here and does not run. The problem's path identifies the
  // mapping.
  for (const { path, code } of await problemsOf({ ...options, mappings: [...mappings.values()].join('') })) {
    const id = [...mappings.keys()][Number(/^mappings\[(\d+)\]/.exec(path)?.[1])] ?? path;
    results.set(id, { code });
  }
  const usable = [...mappings].filter(([id]) => !results.has(id)).map(([, mapping]) => mapping);
  await using bench = await openBench({ ...options, mappings: usable.join('') });
  let report = await bench.sync();
  const { deletionLagMs } = PROVIDERS[String(store.config.kind)] ?? {};
  if (deletionLagMs !== undefined) {
    // A target with an optional source waits for a second read of its absence.
    await bench.clock.advance(deletionLagMs);
    report = await bench.sync();
  }
  for (const { target, error } of report.targets) {
    const data = dataOf(bench.cluster.raw(target));
    results.set(target.secret, error === undefined ? { data } : { code: error.code });
  }
  return results;
}

function nameIn(store: StoreName, name: string): string {
  if (store === 'parameters') return `/${name}`;
  return store === 'azure' ? name.replaceAll('/', '-') : name;
}

function dataOf(raw: Readonly<Record<string, unknown>> | undefined): Readonly<Record<string, string>> {
  return { ...(raw?.data as Readonly<Record<string, string>> | undefined) };
}

/** Encodes the expected data in base64 as the cluster returns it, so that every byte is compared. */
function plain(gives: Gives): Gives {
  if ('code' in gives) return gives;
  const data = Object.entries(gives.data).map(([name, value]) => [
    name,
    Buffer.from(value).toString('base64'),
  ]);
  return { data: Object.fromEntries(data) };
}
