import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createCurrentConfig } from '../../src/app/current-config.ts';
import type { Finding } from '../../src/commands/doctor/sources.ts';
import { checkTargets } from '../../src/commands/doctor/targets.ts';
import { explainMapping } from '../../src/commands/explain/explain.ts';
import { planTargets } from '../../src/commands/plan.ts';
import { AppError } from '../../src/core/errors.ts';
import { formatTarget, type TargetId } from '../../src/core/target.ts';
import { createSourceReaders } from '../../src/providers/source-reader.ts';
import { LABEL } from '../../src/sync/ownership-metadata.ts';
import { createMemoryWorkloads } from '../fakes/memory-workloads.ts';
import { RECORD_KEYS } from '../fakes/record-keys.ts';
import { base64, openWorld, type World } from '../reconcile/world.ts';
import { serve } from '../service/serving.ts';
import { waitUntil } from '../wait-until.ts';

// Makes random configurations with random faults, and compares the results of doctor, plan, explain, sync and the status
// of the service. `npm run test:long` sets `SECRETBRIDGE_TEST_RUNS`.

const RUNS = process.env.SECRETBRIDGE_TEST_RUNS === undefined ? 40 : 200;

/** A fault in a mapping, or in the world around its target. The store key has the name of the Secret. */
interface Fault {
  readonly namespace?: string;
  /** More fields of the target. */
  readonly target?: string;
  /** Whether the target had these fields before, too. */
  readonly isOld?: boolean;
  /** More fields of the source. */
  readonly source?: string;
  readonly dataFrom?: string;
  /** More fields of the mapping. */
  readonly more?: string;
  readonly world?: (world: World, id: TargetId) => void;
  /** Whether the cluster refuses every write of the target. */
  readonly isRefused?: boolean;
}

const putForeign: Fault['world'] = ({ cluster }, id) =>
  cluster.put(id, { type: 'Opaque', data: { THEIRS: base64('x') } });
const change: Fault['world'] = ({ store }, { secret }) => store.put(secret, '{"user":"eve"}', '2');
const fail = (code: 'ACCESS_DENIED' | 'SOURCE_DISABLED' | 'STORE_UNAVAILABLE'): Fault => ({
  world: ({ store }, { secret }) => store.fail(secret, new AppError(code)),
});

const FAULTS: Readonly<Record<string, Fault>> = {
  none: {},
  changed: { world: change },
  'a Secret of another owner': { world: putForeign },
  'a property that is missing': { source: ', property: none' },
  'a value that is no object': {
    source: ', property: user',
    world: ({ store }, { secret }) => store.put(secret, 'text', '2'),
  },
  'a Secret of another instance': {
    world: ({ cluster }, id) =>
      cluster.put(id, {
        metadata: { labels: { [LABEL.instance]: 'other', [LABEL.mapping]: 'other' } },
        type: 'Opaque',
      }),
  },
  'text that is not base64': { source: ', property: user, decode: base64' },
  'a namespace that is missing': { namespace: 'gone' },
  'a template that fails': { more: ', template: { data: { T: \'{{ USER | fromJson | get "none" }}\' } }' },
  'a type without its keys': { target: ', type: kubernetes.io/tls' },
  'a search that finds nothing': { dataFrom: '[ { store: vault, find: { path: none } } ]' },
  'nothing to merge into': { namespace: 'empty', target: ', mode: merge' },
  'an absent key': { world: ({ store }, { secret }) => store.absent(secret) },
  'a denied key': fail('ACCESS_DENIED'),
  'a disabled key': fail('SOURCE_DISABLED'),
  'a store that is down': fail('STORE_UNAVAILABLE'),
  'a quota': { world: change, isRefused: true },
  'an immutable Secret': { target: ', immutable: true', isOld: true, world: change },
  'a workload that is missing': { more: ', restart: [ { kind: Deployment, name: none } ]' },
};

const NAMES = Object.keys(FAULTS);
const scene = fc.record({
  names: fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 6 }),
  /** Whether the targets were written before the faults began. */
  isWritten: fc.boolean(),
});

function mappingOf(fault: Fault, number: number): string {
  const { namespace = 'apps', target = '', source = '', dataFrom, more = '' } = fault;
  const data =
    dataFrom === undefined
      ? `data: { USER: { store: vault, key: m${number}${source} } }`
      : `dataFrom: ${dataFrom}`;
  return `\n  - { name: m${number}, target: { namespace: ${namespace}${target} }, ${data}${more} }`;
}

/** The reported code of each target. Targets without a code are omitted. */
type Codes = Readonly<Record<string, string>>;

function codesOf(
  targets: readonly { readonly target: TargetId; readonly code: string | undefined }[],
): Codes {
  return Object.fromEntries(
    targets.flatMap(({ target, code }) => (code === undefined ? [] : [[formatTarget(target), code]])).sort(),
  );
}

async function doctor(world: World): Promise<readonly Finding[]> {
  await using process = await world.start();
  const { app } = process;
  const { audit, clock, cluster, config, fingerprints, stores } = app;
  const current = createCurrentConfig(config, cluster);
  await current.resolve();
  const readers = createSourceReaders({ open: (name) => stores.open(name), now: () => clock.now() });
  const reader = readers.reader({ onRead: async () => undefined });
  const keys = { fingerprints, records: RECORD_KEYS, sealer: app.sealer };
  return await checkTargets({ audit, clock, cluster, current, keys, reader, stores }, undefined);
}

const findingCodes = (findings: readonly Finding[]) =>
  codesOf(findings.flatMap(({ about, error }) => (about ? { target: about, code: error?.code } : [])));

/** The outcomes of `sync` for the actions of a plan. Together with the codes, they determine the exit code. */
const OUTCOME_OF = { refuse: 'refused', hold: 'held', fail: 'failed' } as const;

async function explain({ app }: Awaited<ReturnType<World['start']>>): Promise<Codes> {
  const explained = await Promise.all(app.config.mappings.map(({ name }) => explainMapping(app, name)));
  return codesOf(explained.flat().map(({ target, error }) => ({ target, code: error?.code })));
}

interface AllCodes {
  readonly planned: Codes;
  readonly explained: Codes;
  readonly synced: Codes;
}

/** Makes a plan and then a sync, and expects both to end in the same way. */
async function planAndSync(world: World): Promise<AllCodes> {
  await using process = await world.start();
  const planned = (await planTargets(process.app)).targets;
  const explained = await explain(process);
  const synced = (await world.sync()).targets;
  const expected = planned.flatMap(({ action }) =>
    action in OUTCOME_OF ? [OUTCOME_OF[action as 'hold']] : [],
  );
  const failing = synced.map(({ kind }) => kind).filter((kind) => /refused|held|failed/.test(kind));
  expect(failing.sort()).toEqual(expected.sort());
  const codes = (targets: typeof planned | typeof synced) =>
    codesOf(targets.map(({ target, error }) => ({ target, code: error?.code })));
  return { planned: codes(planned), explained, synced: codes(synced) };
}

/** Expects the service to reach these codes. */
async function expectStatus(world: World, codes: Codes): Promise<void> {
  await using serving = await serve(world);
  const { service, app } = serving;
  for (const { name } of app.config.mappings) void service.sync(name, { name: 'ann' }, crypto.randomUUID());
  await waitUntil(() => {
    const targets = service.mappings().flatMap((mapping) => mapping.targets);
    expect(codesOf(targets.map(({ code, ...target }) => ({ target, code })))).toEqual(codes);
  });
}

const seen = new Set<string>();

it(`doctor, plan, explain, sync and status name the same targets and codes (${RUNS} configurations)`, {
  timeout: 30_000 + RUNS * 500,
}, async () => {
  await fc.assert(
    fc.asyncProperty(scene, async ({ names, isWritten }) => {
      const faults = names.map((name) => FAULTS[name] ?? {});
      const refused = new Set(faults.flatMap(({ isRefused }, number) => (isRefused ? [`m${number}`] : [])));
      let isFaulty = false;
      const healthy = faults.map(({ isOld, target = '' }, n) => mappingOf(isOld ? { target } : {}, n));
      const world = await openWorld({
        mappings: healthy.join(''),
        cluster: {
          namespaces: ['apps', 'empty'],
          workloads: createMemoryWorkloads(),
          refuses: ({ secret }) =>
            isFaulty && refused.has(secret) ? new AppError('CLUSTER_REFUSED') : undefined,
        },
      });
      for (const number of faults.keys()) world.store.put(`m${number}`, '{"user":"ann"}');
      if (isWritten) expect(await world.sync()).toMatchObject({ ok: true });
      await world.configure(faults.map(mappingOf).join(''));
      isFaulty = true;
      for (const [n, fault] of faults.entries())
        fault.world?.(world, { namespace: fault.namespace ?? 'apps', secret: `m${n}` });

      const found = findingCodes(await doctor(world));
      expect(await planAndSync(world)).toEqual({ planned: found, explained: found, synced: found });
      await expectStatus(world, found);
      for (const code of Object.values(found)) seen.add(code);
    }),
    { numRuns: RUNS },
  );
  console.log(`seen: ${[...seen].sort().join(' ')}`);
  expect(seen.size).toBeGreaterThan(9);
});

it('a workload that is missing is a warning in the plan and in `doctor`', async () => {
  const workloads = createMemoryWorkloads();
  workloads.put({ kind: 'Deployment', namespace: 'apps', name: 'web' });
  const restart = '[ { kind: Deployment, name: web }, { kind: Deployment, name: none } ]';
  const world = await openWorld({
    mappings: mappingOf({ more: `, restart: ${restart}` }, 0),
    cluster: { workloads },
  });
  world.store.put('m0', '{"user":"ann"}');
  const warning = { code: 'WORKLOAD_MISSING', message: expect.stringContaining('Deployment/none in apps') };
  expect(await doctor(world)).toMatchObject([{ about: { secret: 'm0' }, warnings: [warning] }]);
  await using process = await world.start();
  expect((await planTargets(process.app)).targets).toMatchObject([{ action: 'create', warnings: [warning] }]);
});
