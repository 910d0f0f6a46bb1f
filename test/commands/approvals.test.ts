import { describe, expect, it } from 'vitest';
import type { Actor } from '../../src/audit/entry.ts';
import { objectIn } from '../../src/cluster/json.ts';
import { approve, listApprovals, openApprovals, reject } from '../../src/commands/approvals.ts';
import { planTargets } from '../../src/commands/plan.ts';
import { pruneOrphans } from '../../src/commands/prune.ts';
import { releaseHeld } from '../../src/commands/release.ts';
import { rollBackLocally, unpinLocally } from '../../src/commands/rollback.ts';
import {
  approveLocally,
  codesOf,
  createResume,
  rejectLocally,
  runApproved,
} from '../../src/commands/run-approved.ts';
import { requireAgreement } from '../../src/commands/serve/presence.ts';
import { AppError } from '../../src/core/errors.ts';
import type { GuardedAction } from '../../src/reconcile/approvals.ts';
import { Crash, failing } from '../fakes/faulty.ts';
import { almostProve, exists, NAMES, synced } from '../reconcile/destruction.ts';
import { APPS_DB, base64, DB_ONLY, openWorld, type Process, type World } from '../reconcile/world.ts';

const DAY = 86_400_000;
const rules = (actions: string, approvers = '{ roles: [operator] }') =>
  `approvals: [ { actions: [${actions}], approvers: ${approvers}, within: 24h } ]`;
const BOB: Actor = { kind: 'operator', name: 'bob' };
/** The default actor of the world is `ann`. */
const ANN_BY_OIDC: Actor = { kind: 'operator', name: 'a.smith', subject: 'https://idp#1', aliases: ['ann'] };

async function open(more: string, options: Parameters<typeof openWorld>[0] = {}): Promise<World> {
  return openWorld({ mappings: DB_ONLY, more, ...options });
}

async function neededBy(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ code: 'APPROVAL_NEEDED' });
  const [id = ''] = error instanceof AppError ? (error.requests ?? []) : [];
  expect(id).toMatch(/^[0-9a-f]{12}$/);
  return id;
}

const decide = (
  process: Process,
  id: string,
  actor: Actor,
  more: Partial<{ groups: string[]; role: boolean }> = {},
) =>
  approve(
    process.app,
    {
      id,
      requestId: 'approving',
      by: { actor, groups: more.groups ?? [], hasRole: async () => more.role ?? true },
    },
    async (request) => codesOf(await runApproved(process.app, request)),
  );

/** Records an approval whose action is not carried out, as after a crash. */
async function recordApproval(process: Process, id: string): Promise<void> {
  const by = { actor: BOB, groups: [], hasRole: async () => true };
  const crashed = approve(process.app, { id, requestId: 'approving', by }, () => Promise.reject(new Crash()));
  await expect(crashed).rejects.toThrow(Crash);
}

const code = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (thrown: unknown) => (thrown instanceof AppError ? thrown.code : String(thrown)),
  );

/** Writes `first` and then `second`, and returns the sequence of the first write. */
async function rotated(world: World): Promise<number> {
  await world.sync();
  const first = world.records.findLast(({ phase, action }) => phase === 'outcome' && action === 'create');
  world.store.put('db', '{"user":"ann","password":"second"}', '2');
  await world.sync();
  return first?.sequence ?? 0;
}

const value = (world: World, key: string) => {
  const encoded = objectIn(world.cluster.raw(APPS_DB) ?? {}, 'data')?.[key];
  return typeof encoded === 'string' ? Buffer.from(encoded, 'base64').toString() : undefined;
};
const password = (world: World) => value(world, 'PASSWORD');

describe('approvals', () => {
  it('a rollback happens only after a second person has approved it, once and with both names in the audit', async () => {
    const world = await open(rules('rollback'));
    const to = await rotated(world);
    await using process = await world.start();
    const id = await neededBy(rollBackLocally(process.app, { mapping: 'db', to }));
    expect(password(world)).toBe('second');
    // A repetition records no second request.
    expect(await neededBy(rollBackLocally(process.app, { mapping: 'db', to }))).toBe(id);
    expect(openApprovals(await listApprovals(process.app))).toMatchObject([
      {
        id,
        action: 'rollback',
        command: `rollback db --to ${to}`,
        ...APPS_DB,
        requestedBy: 'ann',
        state: 'pending',
      },
    ]);
    await decide(process, id, BOB);
    expect(password(world)).toBe('first');
    const about = world.records.filter(
      ({ approval, action }) => approval !== undefined || action === 'request',
    );
    const request = about[0]?.sequence;
    expect(about.map(({ action, actor, approval }) => [action, actor.name, approval])).toEqual([
      ['request', 'ann', undefined],
      ['approve', 'bob', request],
      ['rollback', 'ann', request],
    ]);
    // The approval is used up.
    expect(await listApprovals(process.app)).toMatchObject([{ state: 'done', decidedBy: 'bob' }]);
    const again = await neededBy(rollBackLocally(process.app, { mapping: 'db', to }));
    expect(again).not.toBe(id);
    expect(await world.chain()).toMatchObject({ kind: 'intact' });
  });

  it('the person who asked cannot approve, by any of their identities', async () => {
    const world = await open(rules('rollback'));
    const to = await rotated(world);
    await using process = await world.start();
    const id = await neededBy(rollBackLocally(process.app, { mapping: 'db', to }));
    for (const actor of [{ kind: 'operator', name: 'Ann' } as const, ANN_BY_OIDC])
      expect(await code(decide(process, id, actor))).toBe('FORBIDDEN');
    expect(await code(approveLocally(process.app, { id, actor: { kind: 'cli', name: 'ann' } }))).toBe(
      'FORBIDDEN',
    );
    expect(world.records.at(-1)).toMatchObject({
      action: 'command',
      outcome: 'refused',
      code: 'FORBIDDEN',
      note: `approvals approve ${id}`,
    });
    expect(password(world)).toBe('second');
  });

  it.each<[string, Partial<Actor>]>([
    ['an OIDC account with the same subject', { name: 'x', subject: 'https://idp#1' }],
    ['an account whose verified name is the name of the other', { name: 'Ann@Example.com' }],
    ['a token with one of their names', { name: 'ANN' }],
    ['a Kubernetes identity by subject', { name: 'https://idp#1' }],
    ['a Kubernetes identity with a prefix', { name: 'oidc:ann@example.com' }],
  ])('a person who asked by OIDC cannot approve as %s', async (_, other) => {
    const world = await open(rules('rollback'));
    const to = await rotated(world);
    await using process = await world.start();
    const ann = {
      kind: 'operator',
      ...{ name: 'ann@example.com', subject: 'https://idp#1', aliases: ['ann'] },
    } as const;
    const by = { actor: ann, requestId: 'asking' };
    const id = await neededBy(rollBackLocally(process.app, { mapping: 'db', to }, { by }));
    expect(await code(decide(process, id, { kind: 'operator', ...other }))).toBe('FORBIDDEN');
    expect(password(world)).toBe('second');
    expect(await code(decide(process, id, BOB))).toBe('done');
  });

  it('only people with a role or a group of the rule may approve', async () => {
    const world = await open(rules('rollback', '{ groups: [sec] }'));
    const to = await rotated(world);
    await using process = await world.start();
    const id = await neededBy(rollBackLocally(process.app, { mapping: 'db', to }));
    expect(await code(decide(process, id, BOB, { groups: ['dev'] }))).toBe('FORBIDDEN');
    expect(await code(approveLocally(process.app, { id, actor: { kind: 'cli', name: 'root' } }))).toBe(
      'FORBIDDEN',
    );
    expect(await code(decide(process, id, BOB, { groups: ['sec'], role: false }))).toBe('done');
    expect(password(world)).toBe('first');
  });

  it('a service account approves only by a group, because a person may create its token', async () => {
    const bot: Actor = { kind: 'operator', name: 'system:serviceaccount:ci:bot' };
    const world = await open(rules('rollback', '{ roles: [operator], groups: [system:serviceaccounts:ci] }'));
    const to = await rotated(world);
    await using process = await world.start();
    const id = await neededBy(rollBackLocally(process.app, { mapping: 'db', to }));
    expect(await code(decide(process, id, bot))).toBe('FORBIDDEN');
    expect(await code(decide(process, id, bot, { groups: ['system:serviceaccounts:ci'] }))).toBe('done');
  });

  it('an approval after its time is refused, and the action can be requested again', async () => {
    const world = await open(rules('rollback'));
    const to = await rotated(world);
    await using process = await world.start();
    const id = await neededBy(rollBackLocally(process.app, { mapping: 'db', to }));
    await world.clock.advance(DAY);
    expect(await code(decide(process, id, BOB))).toMatch(/APPROVAL_CLOSED|NOT_FOUND/);
    expect(password(world)).toBe('second');
    expect(await neededBy(rollBackLocally(process.app, { mapping: 'db', to }))).not.toBe(id);
  });

  it('a rejection, also by the person who asked, ends a request', async () => {
    const world = await open(rules('rollback'));
    const to = await rotated(world);
    await using process = await world.start();
    const id = await neededBy(rollBackLocally(process.app, { mapping: 'db', to }));
    await rejectLocally(process.app, { id, actor: { kind: 'cli', name: 'ann' }, note: 'a mistake' });
    expect(world.records.at(-1)).toMatchObject({
      action: 'reject',
      note: `rollback db --to ${to}: a mistake`,
    });
    expect(await code(decide(process, id, BOB))).toBe('APPROVAL_CLOSED');
    const by = { actor: BOB, groups: [], hasRole: async () => true };
    expect(await code(reject(process.app, { id, by, requestId: 'r' }))).toBe('APPROVAL_CLOSED');
  });

  it('for a person who is limited to namespaces, requests in other namespaces do not exist', async () => {
    const world = await open(rules('rollback'));
    const to = await rotated(world);
    await using process = await world.start();
    const id = await neededBy(rollBackLocally(process.app, { mapping: 'db', to }));
    const by = {
      actor: BOB,
      groups: [],
      hasRole: async () => true,
      mayUse: (name: string) => name === 'other',
    };
    const unknown = { id: '0123456789ab', by, requestId: 'r' };
    const messages: unknown[] = [];
    for (const decision of [{ ...unknown, id }, unknown])
      for (const work of [approve(process.app, decision, async () => []), reject(process.app, decision)])
        messages.push(await work.then(undefined, (thrown: unknown) => String(thrown)));
    expect(new Set(messages).size).toBe(1);
    expect(messages[0]).toContain('no object has this name');
  });

  it('an unpin needs its own approval, for the pin that is in force', async () => {
    const world = await open(rules('unpin'));
    const to = await rotated(world);
    await using process = await world.start();
    await rollBackLocally(process.app, { mapping: 'db', to });
    const id = await neededBy(unpinLocally(process.app, { mapping: 'db' }));
    expect(password(world)).toBe('first');
    await decide(process, id, BOB);
    expect(password(world)).toBe('second');
  });

  it('a prune happens only after an approval, for exactly what the second person saw', async () => {
    const world = await open(`${rules('prune')}\nbrake: { share: 1 }`, {
      mappings: `${DB_ONLY}  - { name: other, target: { namespace: apps }, data: { A: { store: vault, key: token } } }\n`,
    });
    await world.sync();
    await world.configure(DB_ONLY);
    await using process = await world.start();
    const id = await neededBy(pruneOrphans(process.app));
    const other = { namespace: 'apps', secret: 'other' };
    expect(world.cluster.raw(other)).toBeDefined();
    await decide(process, id, BOB);
    expect(world.cluster.raw(other)).toBeUndefined();
    const removal = world.records.find(({ action, phase }) => action === 'delete' && phase === 'intent');
    expect(removal).toMatchObject({ actor: { name: 'ann' }, approval: expect.any(Number) });
  });

  it('a release of a held deletion happens only after an approval', async () => {
    const world = await synced(NAMES, 'onSourceMissing: delete', rules('release'));
    for (const name of ['one', 'two']) world.store.absent(name);
    await almostProve(world);
    const [held] = (await world.sync()).held;
    await using process = await world.start();
    expect(await code(releaseHeld(process.app, '0123456789ab'))).toBe('NOT_HELD');
    const id = await neededBy(releaseHeld(process.app, held?.id ?? ''));
    expect(exists(world, held?.secret ?? '')).toBe(true);
    await decide(process, id, BOB);
    expect(exists(world, held?.secret ?? '')).toBe(false);
    expect(world.records.find(({ action }) => action === 'release')).toMatchObject({
      actor: { name: 'ann' },
      approval: expect.any(Number),
    });
  });

  it('of two approvals at the same time, one counts', async () => {
    const world = await open(rules('rollback'));
    const to = await rotated(world);
    await using process = await world.start();
    const id = await neededBy(rollBackLocally(process.app, { mapping: 'db', to }));
    const cat: Actor = { kind: 'operator', name: 'cat' };
    const results = await Promise.all([decide(process, id, BOB), decide(process, id, cat)].map(code));
    expect(results.toSorted()).toEqual(['APPROVAL_CLOSED', 'done']);
    expect(world.records.filter(({ action }) => action === 'approve')).toHaveLength(1);
    expect(world.records.filter(({ action }) => action === 'request')).toHaveLength(1);
  });

  it('an adoption waits for an approval, also in a sync by schedule, and the next run adopts', async () => {
    const world = await open(rules('adopt'), { mappings: `${DB_ONLY}    onConflict: adopt\n` });
    world.cluster.put(APPS_DB, { type: 'Opaque', data: { OLD: base64('x') } });
    const first = await world.sync();
    expect(first.targets[0]).toMatchObject({ kind: 'refused', error: { code: 'APPROVAL_NEEDED' } });
    expect(value(world, 'OLD')).toBe('x');
    await world.sync();
    expect(world.records.filter(({ action }) => action === 'request')).toHaveLength(1);
    await using process = await world.start();
    expect((await planTargets(process.app)).targets).toMatchObject([
      { action: 'refuse', how: 'adopt', error: { code: 'APPROVAL_NEEDED' } },
    ]);
    const [request] = await listApprovals(process.app);
    expect(request).toMatchObject({
      action: 'adopt',
      keys: { removed: ['OLD'], added: ['PASSWORD', 'USER'] },
    });
    await decide(process, request?.id ?? '', BOB);
    expect(password(world)).toBe('first');
    const adoption = world.records.find(({ action, phase }) => action === 'adopt' && phase === 'intent');
    expect(adoption).toMatchObject({ approval: request?.sequence });
  });

  it('an approved adoption is not carried out if the Secret has changed since the request', async () => {
    const world = await open(rules('adopt'), { mappings: `${DB_ONLY}    onConflict: adopt\n` });
    const put = (text: string) =>
      world.cluster.edit(APPS_DB, (raw) => ({ ...raw, data: { OLD: base64(text) } }));
    world.cluster.put(APPS_DB, { type: 'Opaque', data: { OLD: base64('x') } });
    await world.sync();
    await using process = await world.start();
    const [request] = await listApprovals(process.app);
    put('y');
    await decide(process, request?.id ?? '', BOB);
    expect(value(world, 'OLD')).toBe('y');
    const requests = world.records.filter(({ action }) => action === 'request');
    expect(requests).toHaveLength(2);
    // The approved content again.
    put('x');
    expect((await world.sync()).targets[0]).toMatchObject({ kind: 'updated' });
    expect(JSON.stringify(requests)).not.toMatch(/"[xy]"/);
  });

  it('a person who asks for what a schedule has asked for cannot approve either request', async () => {
    const world = await open(rules('adopt'));
    await using process = await world.start();
    const requireBy = async (actor: Actor, action: GuardedAction) =>
      (await process.app.createContext({ actor })).approvals.require(action);
    const action = { action: 'adopt', mapping: 'db', target: APPS_DB, argument: 'a', keys: [] } as const;
    const bySchedule = await neededBy(requireBy({ kind: 'schedule' }, action));
    const byAnn = await neededBy(requireBy({ kind: 'cli', name: 'ann' }, action));
    expect(byAnn).not.toBe(bySchedule);
    for (const id of [bySchedule, byAnn])
      expect(await code(decide(process, id, ANN_BY_OIDC))).toBe('FORBIDDEN');
    await decide(process, bySchedule, BOB);
    expect(await requireBy({ kind: 'cli', name: 'ann' }, action)).toBeGreaterThan(0);
  });

  it('an approval before a crash is carried out after it, and only once', async () => {
    const world = await open(rules('rollback'));
    const to = await rotated(world);
    let id = '';
    {
      await using process = await world.start();
      id = await neededBy(rollBackLocally(process.app, { mapping: 'db', to }));
    }
    {
      await using dying = await world.start(failing('store.read', new Crash()));
      await expect(decide(dying, id, BOB)).rejects.toThrow();
    }
    expect(password(world)).toBe('second');
    await using process = await world.start();
    expect(await listApprovals(process.app)).toMatchObject([{ state: 'approved' }]);
    const resume = createResume(process.app);
    await resume();
    expect(password(world)).toBe('second');
    await world.clock.advance(20_000);
    await resume();
    expect(password(world)).toBe('first');
    const count = world.records.length;
    await resume();
    expect(world.records).toHaveLength(count);
  });

  it('a release that fails transiently keeps its approval until it is carried out, and uses it once', async () => {
    const world = await synced(NAMES, 'onSourceMissing: delete', rules('release'));
    for (const name of ['one', 'two']) world.store.absent(name);
    await almostProve(world);
    const [held] = (await world.sync()).held;
    const secret = held?.secret ?? '';
    {
      await using asking = await world.start();
      await neededBy(releaseHeld(asking.app, held?.id ?? ''));
    }
    let isAway = true;
    const removing = failing('cluster.remove', new AppError('CLUSTER_UNAVAILABLE'), { times: 2 });
    const away = failing('cluster.read', new AppError('CLUSTER_UNAVAILABLE'));
    await using process = await world.start((step) => (isAway ? away(step) : removing(step)));
    const [{ id = '' } = {}] = await listApprovals(process.app);
    expect(await code(decide(process, id, BOB))).toBe('CLUSTER_UNAVAILABLE');
    expect(await listApprovals(process.app)).toMatchObject([{ state: 'approved' }]);
    isAway = false;
    await world.clock.advance(20_000);
    await decide(process, id, BOB);
    expect(exists(world, secret)).toBe(true);
    expect(await listApprovals(process.app)).toMatchObject([{ state: 'approved' }]);
    const resume = createResume(process.app);
    for (const isThere of [true, false]) {
      await world.clock.advance(60_000);
      await resume();
      expect(exists(world, secret)).toBe(isThere);
    }
    expect(await listApprovals(process.app)).toMatchObject([{ state: 'done' }]);
    const count = world.records.length;
    await world.clock.advance(3_600_000);
    await resume();
    expect(world.records).toHaveLength(count);
    expect(world.records.filter(({ action }) => action === 'approve')).toHaveLength(1);
  });

  it('two processes that carry out the same approved action use the approval once', async () => {
    const world = await open(rules('rollback'));
    const to = await rotated(world);
    await using one = await world.start();
    const id = await neededBy(rollBackLocally(one.app, { mapping: 'db', to }));
    await recordApproval(one, id);
    await using two = await world.start();
    const meeting = Promise.withResolvers<void>();
    let arrived = 0;
    const results = await Promise.all(
      [one, two].map(async ({ app }) => {
        const { recorder, approvals } = await app.createContext();
        const keys: GuardedAction['keys'] = [];
        const approval = await approvals.require({
          ...{ action: 'rollback', mapping: 'db', target: APPS_DB, argument: String(to), keys },
        });
        arrived += 1;
        if (arrived === 2) meeting.resolve();
        await meeting.promise;
        const pin = { to, sources: [], stores: new Map<string, string>() };
        return code(recorder.pin('db', APPS_DB, pin, { approval }));
      }),
    );
    expect(results.toSorted()).toEqual(['APPROVAL_CLOSED', 'done']);
    expect(world.records.filter(({ action }) => action === 'rollback')).toHaveLength(1);
  });

  it('an interrupted prune waits until all replicas use the same configuration', async () => {
    const world = await open(`${rules('prune')}\nbrake: { share: 1 }`, {
      mappings: `${DB_ONLY}  - { name: other, target: { namespace: apps }, data: { A: { store: vault, key: token } } }\n`,
    });
    await world.sync();
    await world.configure(DB_ONLY);
    const other = { namespace: 'apps', secret: 'other' };
    await using process = await world.start();
    const id = await neededBy(pruneOrphans(process.app));
    await recordApproval(process, id);
    await world.clock.advance(20_000);
    let differing: readonly string[] = ['bridge-2'];
    const resume = createResume(process.app, () => requireAgreement({ differing: () => differing }));
    await resume();
    expect(world.cluster.raw(other)).toBeDefined();
    expect(await listApprovals(process.app)).toMatchObject([{ state: 'approved' }]);
    differing = [];
    await world.clock.advance(60_000);
    await resume();
    expect(world.cluster.raw(other)).toBeUndefined();
    expect(await listApprovals(process.app)).toMatchObject([{ state: 'done' }]);
  });
});
