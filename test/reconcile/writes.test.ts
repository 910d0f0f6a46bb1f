import { describe, expect, it } from 'vitest';
import { TARGET_STATE_ACTIONS } from '../../src/audit/entry.ts';
import { AppError } from '../../src/core/errors.ts';
import { reconcile } from '../../src/reconcile/reconcile.ts';
import { failing, type Step } from '../fakes/faulty.ts';
import { APPS_DB, DB_ONLY, openDb, openWorld, syncOnly } from './world.ts';

describe('write', () => {
  it('a write starts after its intent is on disk, and then records its outcome', async () => {
    const world = await openDb();
    const steps: string[] = [];
    await world.sync(({ call, phase, args }: Step) => {
      const entry = call === 'audit.append' ? ((args[0] as { phase?: string }[])[0]?.phase ?? '') : '';
      if (entry !== '' || call === 'cluster.create') steps.push(`${phase} ${call} ${entry}`.trim());
    });
    expect(steps).toEqual([
      ...['before audit.append intent', 'after audit.append intent'],
      ...['before cluster.create', 'after cluster.create'],
      ...['before audit.append outcome', 'after audit.append outcome'],
    ]);
  });

  it('a write reports that the target is written before it records the outcome', async () => {
    const world = await openDb();
    const steps: string[] = [];
    const { app } = await world.start(({ call, phase, args }: Step) => {
      const entry = call === 'audit.append' ? ((args[0] as { phase?: string }[])[0]?.phase ?? '') : '';
      if (entry === 'outcome' || call === 'cluster.create') steps.push(`${phase} ${call}`);
    });
    const [mapping] = app.config.mappings;
    if (mapping === undefined) throw new Error('none');
    const context = await app.createContext();
    await reconcile(mapping, APPS_DB, context, { onWritten: () => steps.push('written') });
    const outcome = ['before audit.append', 'after audit.append'];
    expect(steps).toEqual(['before cluster.create', 'after cluster.create', 'written', ...outcome]);
  });

  it('a write is recorded as failed if the API server denies permission', async () => {
    const world = await openDb();
    world.cluster.fail('create', new AppError('CLUSTER_FORBIDDEN'));
    expect(await syncOnly(world)).toMatchObject({ kind: 'failed', error: { code: 'CLUSTER_FORBIDDEN' } });
    expect(world.story(2)).toEqual([
      'create intent db ok',
      'create outcome db failed CLUSTER_FORBIDDEN',
      'sweep failed',
    ]);
  });

  it.each([
    ['create', 'create', DB_ONLY],
    ['update', 'replace', DB_ONLY],
    ['update', 'merge', DB_ONLY.replace('apps }', 'apps, mode: merge }')],
  ] as const)(
    'a persistent refusal of a write is recorded when the refusal begins, changes and ends (%s by `%s`)',
    async (action, call, mappings) => {
      const world = await openWorld({ mappings });
      if (call === 'merge') world.cluster.put(APPS_DB, { data: {} });
      if (call !== 'create') await world.sync();
      world.store.put('db', '{"user":"ann","password":"second"}', '2');
      const done = world.cluster.writes.length;
      const after = world.records.length;
      const forbidden = Array.from({ length: 3 }, () => new AppError('CLUSTER_FORBIDDEN'));
      const refused = Array.from({ length: 2 }, () => new AppError('CLUSTER_REFUSED'));
      world.cluster.fail(call, ...forbidden, ...refused);
      for (const code of [...forbidden, ...refused].map((error) => error.code))
        expect(await syncOnly(world)).toMatchObject({ kind: 'failed', error: { code } });
      expect(world.cluster.writes).toHaveLength(done);
      await world.sync();
      expect(world.cluster.writes).toHaveLength(done + 1);
      expect(world.story(after).filter((line) => !/^(?:read|command|sweep)/.test(line))).toEqual([
        `${action} intent db ok`,
        `${action} outcome db failed CLUSTER_FORBIDDEN`,
        'refuse db failed CLUSTER_REFUSED',
        `${action} intent db ok`,
        `${action} outcome db ok`,
      ]);
    },
  );

  it('a write is skipped if the mapping changed during the dry run on the server', async () => {
    const world = await openDb();
    world.cluster.fail('create', new AppError('CLUSTER_FORBIDDEN'));
    await world.sync();
    const { app } = await world.start();
    const [mapping] = app.config.mappings;
    if (mapping === undefined) throw new Error('none');
    let wanted = true;
    world.cluster.before('create', () => {
      wanted = false;
    });
    const outcome = await reconcile(mapping, APPS_DB, await app.createContext(), {
      isStillDesired: () => wanted,
    });
    expect([outcome.kind, wanted, world.cluster.writes]).toEqual(['unchanged', false, []]);
  });

  it('for a target without records, a write queries the latest change only once', async () => {
    const world = await openDb();
    const { app } = await world.start(({ call, phase, args }: Step) => {
      const { secret } = (args[0] ?? {}) as { secret?: string };
      if (call === 'audit.latest' && phase === 'before' && secret !== undefined) questions.push(args[1]);
    });
    const questions: unknown[] = [];
    const [mapping] = app.config.mappings;
    if (mapping === undefined) throw new Error('none');
    expect(await reconcile(mapping, APPS_DB, await app.createContext())).toMatchObject({ kind: 'created' });
    expect(questions).toEqual([TARGET_STATE_ACTIONS]);
  });

  it('a write is planned again if another writer created the target first', async () => {
    const world = await openDb();
    world.cluster.before('create', () => world.cluster.put(APPS_DB, { data: {} }));
    expect(await syncOnly(world)).toMatchObject({ kind: 'refused', error: { code: 'NOT_OWNED' } });
    expect(world.story(2)).toEqual([
      'create intent db ok',
      'create outcome db failed CONFLICT',
      'refuse db refused NOT_OWNED',
      'sweep failed',
    ]);
  });

  it("a write succeeds in the next attempt if another writer updated the target first, and keeps the other writer's change", async () => {
    const world = await openDb();
    await world.sync();
    world.store.put('db', '{"user":"ann","password":"second"}', '2');
    world.cluster.before('replace', () =>
      world.cluster.edit(APPS_DB, (raw) => ({
        ...raw,
        metadata: {
          ...(raw.metadata as object),
          labels: { ...(raw.metadata as { labels: object }).labels, theirs: '1' },
        },
      })),
    );
    expect(await syncOnly(world)).toMatchObject({ kind: 'updated' });
    expect((await world.cluster.read(APPS_DB))?.labels).toMatchObject({ theirs: '1' });
    const attempts = world.records.filter(({ action }) => action === 'update');
    expect(attempts.map(({ phase, outcome, attempt }) => [phase, outcome, attempt])).toEqual([
      ['intent', 'ok', 1],
      ['outcome', 'failed', 1],
      ['intent', 'ok', 2],
      ['outcome', 'ok', 2],
    ]);
  });

  it('a write ends as CONFLICT after three conflicts, which are all recorded, and the next run repeats the write', async () => {
    const world = await openDb();
    await world.sync();
    world.store.put('db', '{"user":"ann","password":"second"}', '2');
    const bump = () => world.cluster.edit(APPS_DB, (raw) => ({ ...raw }));
    for (let race = 0; race < 3; race += 1) world.cluster.before('replace', bump);
    const { length } = world.records;
    expect(await syncOnly(world)).toMatchObject({ kind: 'failed', error: { code: 'CONFLICT' } });
    expect(world.story(length + 2)).toEqual([
      ...['update intent db ok', 'update outcome db failed CONFLICT'],
      ...['update intent db ok', 'update outcome db failed CONFLICT'],
      ...['update intent db ok', 'update outcome db failed CONFLICT'],
      'giveUp db failed CONFLICT',
      'sweep failed',
    ]);
    expect(world.cluster.calls.replace).toBe(3);
    expect(await syncOnly(world)).toMatchObject({ kind: 'updated' });
  });
});

describe('write to which the API server did not answer', () => {
  const lost = () => new AppError('CLUSTER_UNAVAILABLE');

  it('a write without an answer succeeds if a read finds the created target, and reports the resource version of that read', async () => {
    const world = await openDb();
    world.cluster.loseAnswer('create', lost());
    expect(await syncOnly(world)).toMatchObject({ kind: 'created' });
    const outcome = world.records.find(({ phase }) => phase === 'outcome');
    expect(outcome).toMatchObject({ outcome: 'ok', resourceVersion: '1', note: 'read from the cluster' });
  });

  it('a write without an answer succeeds if a read finds the updated target', async () => {
    const world = await openDb();
    await world.sync();
    world.store.put('db', '{"user":"ann","password":"first"}', '2');
    world.cluster.loseAnswer('replace', lost());
    expect(await syncOnly(world)).toMatchObject({ kind: 'updated' });
  });

  it('a write without an answer fails if a read shows that the target was not written', async () => {
    const world = await openDb();
    world.cluster.fail('create', lost());
    expect(await syncOnly(world)).toMatchObject({ kind: 'failed', error: { code: 'CLUSTER_UNAVAILABLE' } });
    expect(world.story().slice(-2)).toEqual(['create outcome db failed CLUSTER_UNAVAILABLE', 'sweep failed']);
  });

  it('a write without an answer is recorded once if it takes effect after the read that checked the target', async () => {
    const world = await openDb();
    await world.sync();
    world.store.put('db', '{"user":"ann","password":"second"}', '2');
    let makeLate: () => Promise<unknown> = async () => undefined;
    await world.sync(({ call, phase, args }: Step) => {
      if (call !== 'cluster.replace' || phase !== 'before') return;
      makeLate = () => world.cluster.replace(...(args as Parameters<typeof world.cluster.replace>));
      throw lost();
    });
    expect(world.records.at(-2)).toMatchObject({ action: 'update', code: 'CLUSTER_UNAVAILABLE' });
    await makeLate();
    const { length } = world.records;
    expect(await syncOnly(world)).toMatchObject({ kind: 'unchanged' });
    expect(world.story(length)).toEqual(['command sync ok', 'update outcome db ok', 'sweep ok']);
    const live = await world.cluster.read(APPS_DB);
    expect(world.records.at(-2)).toMatchObject({
      requestId: 'request-2',
      attempt: 1,
      resourceVersion: live?.resourceVersion,
      note: 'read from the cluster',
    });
    expect(world.records.at(-2)).not.toHaveProperty('code');
    expect(await syncOnly(world)).toMatchObject({ kind: 'unchanged' });
    expect(world.story(length + 3)).toEqual(['command sync ok', 'sweep ok']);
    expect(await world.chain()).toMatchObject({ kind: 'intact' });
  });

  it('a recreation without an answer is recorded once if it takes effect after the read that checked the target', async () => {
    const world = await openDb();
    await world.sync();
    world.cluster.forget(APPS_DB);
    let makeLate: () => Promise<unknown> = async () => undefined;
    await world.sync(({ call, phase, args }: Step) => {
      if (call !== 'cluster.create' || phase !== 'before') return;
      makeLate = () => world.cluster.create(...(args as Parameters<typeof world.cluster.create>));
      throw lost();
    });
    await makeLate();
    const { length } = world.records;
    expect(await syncOnly(world)).toMatchObject({ kind: 'unchanged' });
    expect(world.story(length)).toEqual(['command sync ok', 'repair outcome db ok', 'sweep ok']);
  });

  it('a write without an answer is recorded once if another replica has made the same change meanwhile', async () => {
    const world = await openDb();
    world.cluster.fail('create', lost());
    await world.sync();
    expect(await syncOnly(world)).toMatchObject({ kind: 'created' });
    // Simulates a slower replica, which records its failure after this replica has created the target.
    await using late = await world.start();
    const { recorder } = await late.app.createContext();
    await recorder.recordFailure('db', APPS_DB, { kind: 'failed', error: lost() });
    expect(await syncOnly(world)).toMatchObject({ kind: 'unchanged' });
    expect(world.story().filter((line) => line === 'create outcome db ok')).toHaveLength(1);
  });

  it('a write without an answer does not count as applied if the source has returned to an older value', async () => {
    const world = await openDb();
    await world.sync();
    world.store.put('db', '{"user":"ann","password":"second"}', '2');
    world.cluster.fail('replace', lost());
    await world.sync();
    world.store.put('db', '{"user":"ann","password":"first"}', '1');
    const { length } = world.records;
    expect(await syncOnly(world)).toMatchObject({ kind: 'unchanged' });
    expect(world.story(length)).toEqual(['command sync ok', 'sweep db ok', 'sweep ok']);
  });

  it('a write without an answer stays unresolved until the next start if the target cannot be read after the write', async () => {
    const world = await openDb();
    world.cluster.loseAnswer('create', lost());
    world.cluster.fail('read', undefined, lost());
    expect(await syncOnly(world)).toMatchObject({ kind: 'failed', error: { code: 'CLUSTER_UNAVAILABLE' } });
    expect(world.story().slice(-2)).toEqual(['create intent db ok', 'sweep failed']);
    const { length } = world.records;
    expect(await syncOnly(world)).toMatchObject({ kind: 'unchanged' });
    expect(world.story(length)).toEqual(['create outcome db ok', 'command sync ok', 'sweep ok']);
  });
});

describe('unavailable audit store', () => {
  const broken = new AppError('AUDIT_UNAVAILABLE');

  it('an unavailable audit store stops the run before any write if the command, a read or an intent cannot be recorded', async () => {
    for (let append = 1; append <= 3; append += 1) {
      const world = await openDb();
      let left = append;
      const watch = ({ call, phase }: Step) => {
        if (call !== 'audit.append' || phase !== 'before') return;
        left -= 1;
        if (left <= 0) throw broken;
      };
      await expect(world.sync(watch), `append ${append}`).rejects.toMatchObject({
        code: 'AUDIT_UNAVAILABLE',
      });
      expect(world.cluster.writes, `append ${append}`).toEqual([]);
    }
  });

  it('an unavailable audit store stops the run after a write whose outcome cannot be recorded, and the next start records this outcome', async () => {
    const world = await openDb();
    let left = 4;
    const watch = ({ call, phase }: Step) => {
      if (call === 'audit.append' && phase === 'before') left -= 1;
      if (left <= 0) throw broken;
    };
    await expect(world.sync(watch)).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    expect(world.cluster.writes).toHaveLength(1);
    expect(world.story(2)).toEqual(['create intent db ok']);
    expect(await syncOnly(world)).toMatchObject({ kind: 'unchanged' });
    expect(world.story(3)).toEqual(['create outcome db ok', 'command sync ok', 'sweep ok']);
  });

  it('an unavailable audit store stops the run if the records cannot be read', async () => {
    const world = await openDb();
    await expect(world.sync(failing('audit.latest', broken))).rejects.toMatchObject({
      code: 'AUDIT_UNAVAILABLE',
    });
    expect(world.cluster.writes).toEqual([]);
  });

  it('an unavailable audit store stops the run for all remaining targets after a record of one target could not be stored', async () => {
    const mappings = Array.from(
      { length: 30 },
      (_, n) => `
  - name: m${n}
    target: { namespace: apps }
    data: { TOKEN: { store: vault, key: token } }`,
    ).join('');
    const world = await openWorld({ mappings, more: 'engine: { kind: memory, concurrency: 2 }' });
    let intents = 0;
    const watch = ({ call, phase, args }: Step) => {
      const [entry] = call === 'audit.append' ? (args[0] as { phase?: string }[]) : [];
      if (phase === 'before' && entry?.phase === 'intent') intents += 1;
      if (intents > 5) throw broken;
    };
    await expect(world.sync(watch)).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    expect(world.cluster.writes.length).toBeLessThanOrEqual(5);
  });
});
