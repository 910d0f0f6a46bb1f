import { describe, expect, it } from 'vitest';
import type { AuditRecord } from '../../src/audit/entry.ts';
import { AppError } from '../../src/core/errors.ts';
import { formatTarget } from '../../src/core/target.ts';
import type { Outcome } from '../../src/reconcile/outcome.ts';
import { base64, openWorld, TWO_MAPPINGS, type World } from '../reconcile/world.ts';
import { serve } from './serving.ts';

interface Situation {
  readonly mappings?: string;
  /** Whether all targets were in sync before the change. */
  readonly synced?: boolean;
  /** The change that happens before the run. */
  readonly since?: (world: World) => Promise<void> | void;
  /**
   * The expected outcome of each target. Without this field, a test would miss an error that the one-shot sync and the
   * service have in common.
   */
  readonly ends: Readonly<Record<string, string>>;
}

const DB = { namespace: 'apps', secret: 'db' };
const TOKEN = { namespace: 'apps', secret: 'token' };
const MORE = 'absence: { readings: 2, over: 1s }';

/** Returns one mapping named `token` with these fields. */
const token = (fields: string): string => `
  - name: token
    target: { namespace: apps }
    ${fields}`;
const many = (count: number, fields: string): string =>
  Array.from({ length: count }, (_, n) => token(fields).replaceAll('token', `t${n}`)).join('');
const DATA = 'data: { TOKEN: { store: vault, key: token } }';
/** The mappings `db` and `token`, where the target of `token` is named `gone`. */
const RENAMED = `
  - name: db
    target: { namespace: apps }
    data: { USER: { store: vault, key: db, property: user } }${token(`${DATA}\n    onMappingRemoved: delete`).replace('namespace: apps', 'namespace: apps, secret: gone')}`;
/** Five mappings whose targets are deleted with their source or mapping. */
const FIVE = many(
  5,
  'onSourceMissing: delete\n    onMappingRemoved: delete\n    data: { TOKEN: { store: vault, key: token } }',
).replaceAll('key: t', 'key: k');
const foreign = (data: Readonly<Record<string, string>>) => ({ type: 'Opaque', data });

/** Reads the absent key once, so that the next read proves the absence. */
async function readOnceAbsent(world: World, key: string): Promise<void> {
  world.store.absent(key);
  await world.sync();
  await world.clock.advance(2_000);
}

const SITUATIONS: Readonly<Record<string, Situation>> = {
  'no target exists': { ends: { db: 'created', token: 'created' } },
  'all targets are in sync': { synced: true, ends: { db: 'unchanged', token: 'unchanged' } },
  'a source changed': {
    synced: true,
    since: ({ store }) => store.put('token', 'other', '2'),
    ends: { db: 'unchanged', token: 'updated' },
  },
  'a source has a new version with the same bytes': {
    synced: true,
    since: ({ store }) => store.put('token', 'tok', '2'),
    ends: { db: 'unchanged', token: 'updated' },
  },
  'another owner has the Secret': {
    since: ({ cluster }) => cluster.put(DB, foreign({ A: base64('x') })),
    ends: { db: 'refused NOT_OWNED', token: 'created' },
  },
  'a Secret of another owner is adopted': {
    mappings: token(`onConflict: adopt\n    ${DATA}`),
    since: ({ cluster }) => cluster.put(TOKEN, foreign({ A: base64('x') })),
    ends: { token: 'updated' },
  },
  'a target was edited manually': {
    synced: true,
    since: ({ cluster }) => cluster.edit(TOKEN, (raw) => ({ ...raw, data: { TOKEN: base64('by hand') } })),
    ends: { db: 'unchanged', token: 'updated' },
  },
  'a target was deleted manually': {
    synced: true,
    since: ({ cluster }) => cluster.forget(TOKEN),
    ends: { db: 'unchanged', token: 'created' },
  },
  'a store fails': {
    synced: true,
    since: ({ store }) => store.fail('token', new AppError('STORE_UNAVAILABLE')),
    ends: { db: 'unchanged', token: 'failed STORE_UNAVAILABLE' },
  },
  'a failed target works again': {
    synced: true,
    async since(world) {
      world.store.fail('token', new AppError('ACCESS_DENIED'));
      await world.sync();
      world.store.put('token', 'tok');
    },
    ends: { db: 'unchanged', token: 'unchanged' },
  },
  'a property is missing': {
    since: ({ store }) => store.put('db', '{"user":"ann"}'),
    ends: { db: 'failed PROPERTY_MISSING', token: 'failed PROPERTY_MISSING' },
  },
  'a template fails': {
    mappings: token(`${DATA}\n    template: { data: { T: '{{ TOKEN | base64_decode }}' } }`),
    ends: { token: 'failed TEMPLATE_FAILED' },
  },
  'a template gives a key': {
    mappings: token(`${DATA}\n    template: { data: { T: 'x {{ TOKEN }}' } }`),
    ends: { token: 'created' },
  },
  'a source is absent for the first time': {
    mappings: token(`onSourceMissing: delete\n    ${DATA}`),
    synced: true,
    since: ({ store }) => store.absent('token'),
    ends: { token: 'failed SOURCE_ABSENT' },
  },
  "the absence of the last target's source is proved": {
    mappings: token(`onSourceMissing: delete\n    ${DATA}`),
    synced: true,
    since: (world) => readOnceAbsent(world, 'token'),
    ends: { token: 'held HELD' },
  },
  "the absence of one target's source is proved": {
    mappings: many(
      3,
      `onSourceMissing: delete\n    data: { TOKEN: { store: vault, key: token } }`,
    ).replaceAll('key: t', 'key: k'),
    synced: false,
    async since(world) {
      for (const n of [0, 1, 2]) world.store.put(`k${n}`, 'value');
      await world.sync();
      await readOnceAbsent(world, 'k1');
    },
    ends: { t0: 'unchanged', t1: 'deleted', t2: 'unchanged' },
  },
  'the absence of a source is proved, and only its keys are removed': {
    mappings: token(
      'onSourceMissing: removeKeys\n    data: { TOKEN: { store: vault, key: token }, USER: { store: vault, key: db, property: user } }',
    ),
    synced: true,
    since: (world) => readOnceAbsent(world, 'token'),
    ends: { token: 'updated' },
  },
  'keys are merged into a Secret of another owner': {
    mappings: token(DATA).replace('namespace: apps', 'namespace: apps, mode: merge'),
    since: ({ cluster }) => cluster.put(TOKEN, foreign({ THEIRS: base64('x') })),
    ends: { token: 'updated' },
  },
  'keys to merge belong to another manager': {
    mappings: token(DATA).replace('namespace: apps', 'namespace: apps, mode: merge'),
    since: ({ cluster }) => cluster.put(TOKEN, foreign({ TOKEN: base64('x') })),
    ends: { token: 'refused CONFLICT' },
  },
  'the Secret to merge into does not exist': {
    mappings: token(DATA).replace('namespace: apps', 'namespace: apps, mode: merge'),
    ends: { token: 'failed SECRET_MISSING' },
  },
  'an immutable target has new data': {
    mappings: token(DATA).replace('namespace: apps', 'namespace: apps, immutable: true'),
    synced: true,
    since: ({ store }) => store.put('token', 'other', '2'),
    ends: { token: 'refused IMMUTABLE' },
  },
  'an immutable target is replaced': {
    mappings: token(DATA)
      .replace('namespace: apps', 'namespace: apps, immutable: true, recreate: true')
      .concat(
        '\n  - name: db\n    target: { namespace: apps }\n    data: { USER: { store: vault, key: db, property: user } }',
      ),
    synced: true,
    since: ({ store }) => store.put('token', 'other', '2'),
    ends: { db: 'unchanged', token: 'updated' },
  },
  'a mapping with `onMappingRemoved: delete` was removed': {
    mappings: `${TWO_MAPPINGS}${token(DATA).replaceAll('token', 'gone').replace('key: gone', 'key: token')}\n    onMappingRemoved: delete`,
    synced: true,
    since: (world) => world.configure(TWO_MAPPINGS),
    ends: { db: 'unchanged', token: 'unchanged' },
  },
  'a target was renamed': {
    mappings: RENAMED,
    synced: true,
    since: (world) => world.configure(RENAMED.replace('secret: gone', 'secret: token')),
    ends: { db: 'unchanged', token: 'created' },
  },
  'a target was renamed, and its store fails': {
    mappings: RENAMED,
    synced: true,
    async since(world) {
      await world.configure(RENAMED.replace('secret: gone', 'secret: token'));
      world.store.fail('token', new AppError('STORE_UNAVAILABLE'));
    },
    ends: { db: 'unchanged', token: 'failed STORE_UNAVAILABLE' },
  },
  'a target was renamed, and another owner has the new name': {
    mappings: RENAMED,
    synced: true,
    async since(world) {
      await world.configure(RENAMED.replace('secret: gone', 'secret: token'));
      world.cluster.put(TOKEN, foreign({ A: base64('x') }));
    },
    ends: { db: 'unchanged', token: 'refused NOT_OWNED' },
  },
  'an absent source and removed mappings together exceed the brake': {
    mappings: FIVE,
    async since(world) {
      for (const n of [0, 1, 2, 3, 4]) world.store.put(`k${n}`, 'value');
      await world.sync();
      await readOnceAbsent(world, 'k2');
      await world.configure(FIVE.slice(FIVE.indexOf('\n  - name: t2')));
    },
    ends: { t2: 'held HELD', t3: 'unchanged', t4: 'unchanged' },
  },
  'a mapping that keeps its target was removed': {
    mappings: `${token(DATA)}${token(DATA).replaceAll('token', 'gone').replace('key: gone', 'key: token')}`,
    synced: true,
    since: (world) => world.configure(token(DATA)),
    ends: { token: 'unchanged' },
  },
  'a key was removed from the mapping': {
    mappings: TWO_MAPPINGS,
    synced: true,
    since: (world) => world.configure(token(DATA)),
    ends: { token: 'updated' },
  },
};

type Ends = ReadonlyMap<string, { readonly ended: string; readonly keys?: unknown }>;

async function bySync(world: World): Promise<Ends> {
  const { targets } = await world.sync();
  return new Map(targets.map((outcome) => [outcome.mapping, endOf(outcome)]));
}

/** Starts the service and requests a sync of each mapping, as a person would. */
async function byService(world: World): Promise<Ends> {
  const outcomes: Outcome[] = [];
  const serving = await serve(world, undefined, { onOutcome: (outcome) => void outcomes.push(outcome) });
  const { app, service, controller } = serving;
  const decided = new Map<string, string>();
  controller.states.onChange(({ mapping, kind, error, proposed }) => {
    const wasProposed = outcomes.some(
      (outcome) => outcome.mapping === mapping && outcome.proposal !== undefined,
    );
    if (wasProposed && !proposed && !decided.has(mapping))
      decided.set(mapping, [kind, error?.code].filter(Boolean).join(' '));
  });
  try {
    let over = false;
    const requests = Promise.all(
      app.config.mappings.map(({ name }) => service.sync(name, { name: 'ann' }, crypto.randomUUID())),
    ).finally(() => {
      over = true;
    });
    // The deletion step decides about proposals shortly after the runs.
    while (!over) await world.clock.advance(250);
    await requests;
    await world.clock.advance(1_500);
  } finally {
    await serving[Symbol.asyncDispose]();
  }
  const ends = new Map<string, { ended: string; keys?: unknown }>();
  for (const { id, mapping } of controller.snapshot().targets) {
    const runs = outcomes.filter(
      (outcome) => outcome.mapping === mapping.name && formatTarget(outcome.target) === formatTarget(id),
    );
    // A later run finds the target already changed and reports it as `unchanged`.
    const first = runs.find(({ kind }) => kind !== 'unchanged') ?? runs.at(-1);
    const ended = decided.get(mapping.name);
    // The deletion step has decided about the proposals before this point.
    if (first?.proposal !== undefined && ended !== undefined) ends.set(mapping.name, { ended });
    else if (first !== undefined) ends.set(mapping.name, endOf(first));
  }
  return ends;
}

function endOf({ kind, error, keys }: Outcome) {
  const ended = [kind, error?.code].filter(Boolean).join(' ');
  return { ended, keys };
}

const ALONE = ['command', 'configure', 'release'];

/** Returns all distinct records, without their actor, times and number of failed reads. */
function recordsOf(world: World, after: number): readonly string[] {
  const records = world.records
    .slice(after)
    .filter(({ action, secret }) => !ALONE.includes(action) && (action !== 'sweep' || secret !== undefined))
    .map((record: AuditRecord) => {
      const {
        sequence,
        time,
        replica,
        actor,
        requestId,
        durationMs,
        previousHash,
        hmac,
        hash,
        count,
        since,
        ...rest
      } = record;
      return JSON.stringify(rest);
    });
  return [...new Set(records)].toSorted();
}

async function prepare({ mappings = TWO_MAPPINGS, synced = false, since }: Situation) {
  const world = await openWorld({ mappings, more: MORE });
  if (synced) expect((await world.sync()).ok).toBe(true);
  await since?.(world);
  const [writes, records] = [world.cluster.writes.length, world.records.length];
  return {
    world,
    effects: () => ({
      writes: world.cluster.writes
        .slice(writes)
        .map(({ kind, id }) => `${kind} ${formatTarget(id)}`)
        .toSorted(),
      records: recordsOf(world, records),
      live: ['db', 'token', 'gone', 't0', 't1', 't2'].map((secret) => {
        const raw = world.cluster.raw({ namespace: 'apps', secret });
        return raw && { type: raw.type, data: raw.data };
      }),
    }),
  };
}

describe('a one-shot sync and the worker of the service', () => {
  it.each(Object.entries(SITUATIONS))(
    'a one-shot sync and the service have the same results when %s',
    async (_, situation) => {
      const [one, other] = [await prepare(situation), await prepare(situation)];
      const targetNames = Object.keys(situation.ends);
      const ofSync = await bySync(one.world);
      const ofService = await byService(other.world);
      const ended = (ends: Ends) =>
        Object.fromEntries(targetNames.map((name) => [name, ends.get(name)?.ended]));
      expect(ended(ofSync)).toEqual(situation.ends);
      expect(ended(ofService)).toEqual(situation.ends);
      // The service reports no keys for deletions, so this loop skips deletions. The records of deletions contain the
      // keys, and `effects` compares the records.
      for (const [name, { keys }] of ofService)
        if (keys !== undefined) expect(keys).toEqual(ofSync.get(name)?.keys);
      expect(other.effects()).toEqual(one.effects());
      expect(await other.world.chain()).toMatchObject({ kind: 'intact' });
    },
  );
});
