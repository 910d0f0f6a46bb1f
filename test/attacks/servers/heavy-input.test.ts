import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { largest } from '../../../src/core/lists.ts';
import { startVaultServer } from '../../fakes/vault-server.ts';
import { type ServiceProcess, within } from '../../integration/service/service-process.ts';
import { base64, openWorld, type World } from '../../integration/service/world.ts';
import { MANY_ROUNDS } from '../../sync/template/pkcs12-files.ts';

// A tenant and a store send everything at once that takes minutes to process. Another tenant must not notice it.

/** These limits allow everything that the defaults of an `include` refuse before any work. */
const LIMITS = '{ keysPerMapping: 100000, refresh: 1s, callsPerMinute: 100000 }';
const LIVEZ_MS = 1_000;
const CHANGE_MS = 11_000;
/** The memory limit of the chart is 1 GiB. */
const MEMORY_KB = 1024 * 1024;

const list = (count: number, item: (n: number) => string): readonly string[] =>
  Array.from({ length: count }, (_, n) => item(n));

/** Returns the answers of the hostile store, by key. */
const SECRETS: Readonly<Record<string, string>> = {
  members: `{${list(600_000, (n) => `"k${n}":1`).join()}}`,
  brackets: '['.repeat(7_500_000),
  keys: `{${list(65_000, (n) => `"k${n}":""`).join()}}`,
  text: JSON.stringify({ v: 'x'.repeat(9_000), p12: MANY_ROUNDS }),
};

function hostileFiles(ns: string): Readonly<Record<string, string>> {
  const SLOW =
    '{% assign l = v | split: "" %}{% for a in l limit: 100 %}{% assign x = l | sort | uniq %}{% endfor %}';
  const mapping = (name: string, rest: object) =>
    JSON.stringify({ name, target: { namespace: ns }, refresh: '1s', ...rest });
  const spread = (key: string) => ({ dataFrom: [{ store: 'hostile', key }] });
  const templates = (count: number, text: string) => ({
    ...spread('text'),
    template: { only: true, data: Object.fromEntries(list(count, String).map((n) => [`t${n}`, text])) },
  });
  const searches = list(12, (n) => `(.?){900}(a?){900}[x-z]${n}`).map((name) => ({
    store: 'hostile',
    find: { path: 'names/', name },
  }));
  const many = list(6, (n) =>
    mapping(`many${n}`, {
      ...spread('text'),
      template: { data: { t: `${n}${'{%assign a=v%}'.repeat(4_600)}` } },
    }),
  );
  const few = [
    mapping('members', spread('members')),
    mapping('brackets', spread('brackets')),
    mapping('keys', spread('keys')),
    mapping('templates', templates(120, SLOW)),
    mapping('pkcs12', templates(10, '{{ p12 | base64_decode | pkcs12_key: "secret" }}')),
    mapping('patterns', { dataFrom: searches }),
  ];
  return { 'few.yaml': `mappings: [${few.join()}]`, 'many.yaml': `mappings: [${many.join()}]` };
}

/** Returns the processor time of the main thread of a process, in milliseconds. */
async function mainThreadMs(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/task/${pid}/stat`, 'utf8');
  // The name of the thread is in brackets and may contain spaces. Times are in hundredths of a second.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/**
 * Polls `/livez` continuously. Returns for each answer the processor time that the main thread needed until the answer, in
 * milliseconds. On a free processor this is the time of the answer. On the busy machine of a test, answers take longer.
 */
function watchLiveness(served: ServiceProcess) {
  const times: number[] = [];
  let isDone = false;
  const polling = (async () => {
    while (!isDone) {
      const start = await mainThreadMs(served.pid);
      expect((await served.get('/livez', '')).status).toBe(200);
      times.push((await mainThreadMs(served.pid)) - start);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  const end = async (): Promise<readonly number[]> => {
    isDone = true;
    await polling;
    return times;
  };
  return { end, [Symbol.asyncDispose]: async () => void (await end()) };
}

/** The mapping `granted` makes `rbac` grant the rights in the tenant's namespace before the hostile files exist. */
const configOf =
  (address: string, include: string) =>
  ({ prefix, ns }: Pick<World, 'prefix' | 'ns'>) =>
    `  - name: hostile
    kind: vault
    address: ${address}
    auth: { method: token, token: { file: ./hostile.token } }
${include}mappings:
  - { name: good, refresh: 1s, target: { namespace: ${ns('apps')} }, data: { A: { store: vault, key: ${prefix}/good, property: a } } }
  - { name: granted, target: { namespace: ${ns('bad')} }, data: { A: { store: vault, key: ${prefix}/good, property: a } } }
`;

it('a tenant and a store that send costly input stop neither the service nor another tenant', async () => {
  await using hostile = await startVaultServer();
  for (const [key, json] of Object.entries(SECRETS)) hostile.put('secret', key, json);
  for (const n of list(300, String)) hostile.put('secret', `names/${'ab'.repeat(200)}${n}`, '{"a":"b"}');
  await using world = await openWorld({
    namespaces: ['apps', 'bad'],
    scope: 'namespace',
    config: configOf(hostile.address, ''),
  });
  await writeFile(join(world.folder, 'hostile.token'), hostile.rootToken, { mode: 0o600 });
  await world.vault.put('good', { a: 'first' });
  const bad = world.ns('bad');
  const includes = Object.entries(hostileFiles(bad)).map(async ([name, text]) => {
    await writeFile(join(world.folder, name), text);
    return `{ path: ${name}, namespaces: [${bad}], stores: [hostile], keys: ['**'], limits: ${LIMITS} }`;
  });
  const include = `include: [ ${(await Promise.all(includes)).join(', ')} ]\n`;
  await world.configure({ config: configOf(hostile.address, include) });

  await using served = await world.serve();
  await using liveness = watchLiveness(served);
  await within(CHANGE_MS, async () => expect((await world.secret('good'))?.data?.A).toBe(base64('first')));
  await world.vault.put('good', { a: 'second' });
  await within(CHANGE_MS, async () => expect((await world.secret('good'))?.data?.A).toBe(base64('second')));
  const codes = {
    members: 'TOO_LARGE',
    brackets: 'BAD_ANSWER',
    templates: 'LIMIT_REACHED',
    pkcs12: 'LIMIT_REACHED',
    patterns: 'LIMIT_REACHED',
  };
  await within(60_000, async () => {
    const { targets } = await served.status();
    const found = Object.fromEntries(targets.map(({ mapping, state, code }) => [mapping, code ?? state]));
    expect(found).toMatchObject({ ...codes, keys: 'synced', many0: 'synced', good: 'synced' });
  });
  expect(largest(await liveness.end())).toBeLessThan(LIVEZ_MS);
  const status = await readFile(`/proc/${served.pid}/status`, 'utf8');
  expect(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1])).toBeLessThan(MEMORY_KB);
});
