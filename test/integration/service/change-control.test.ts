import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ServiceProcess, within } from './service-process.ts';
import { base64, openWorld, type World, type WorldOptions } from './world.ts';

const LIMITED = 'the-token-of-a-person-who-is-limited-to-one-namespace';

const configWith =
  (sections: string): WorldOptions['config'] =>
  ({ prefix, ns }) =>
    `defaults: { refresh: 1s }
${sections}
mappings:
  - name: db
    target: { namespace: ${ns('apps')} }
    data: { PASSWORD: { store: vault, key: ${prefix}/db, property: password } }
`;

async function expectValue(world: World, password: string): Promise<void> {
  expect((await world.secret('db'))?.data?.PASSWORD).toBe(base64(password));
}

async function rotate(world: World, from: string, to: string): Promise<void> {
  await within(15_000, () => expectValue(world, from));
  await world.vault.put('db', { password: to });
}

const json = (text: string) => JSON.parse(text) as { [name: string]: unknown; approvals: { id: string }[] };

async function openRequests(served: ServiceProcess, token?: string) {
  return json((await served.get('/api/v1/approvals', token)).text).approvals;
}

describe('approvals and change windows with the running service', () => {
  it('a rollback waits for a second person, whose approval carries it out', async () => {
    await using world = await openWorld({
      config: configWith(
        'approvals: [ { actions: [rollback, unpin], approvers: { roles: [reviewer] }, within: 1h } ]',
      ),
      tokens: () => '{ name: lim, role: operator, namespaces: [other], token: { file: ./lim.token } }',
    });
    await writeFile(join(world.folder, 'lim.token'), LIMITED, { mode: 0o600 });
    await world.vault.put('db', { password: 'first' });
    await using served = await world.serve();
    await rotate(world, 'first', 'second');
    await within(15_000, () => expectValue(world, 'second'));
    const first = (await world.records()).find(
      ({ phase, action }) => phase === 'outcome' && action === 'create',
    );
    const server = ['--server', served.address, '--output', 'json'];
    const requested = await world.cli('rollback', 'db', '--to', `${first?.sequence}`, ...server);
    expect(requested.code, requested.stderr).toBe(4);
    const [request] = await openRequests(served);
    const id = request?.id ?? '';
    expect(json(requested.stdout).error).toMatchObject({ code: 'APPROVAL_NEEDED', requests: [id] });
    expect(request).toMatchObject({ action: 'rollback', requestedBy: 'ann', state: 'pending' });
    await expectValue(world, 'second');

    const approveAs = (token: string) => served.send('POST', `/api/v1/approvals/${id}/approve`, token);
    const { ann, vic, rev } = world.tokens;
    expect((await approveAs(ann)).status).toBe(403);
    expect((await approveAs(vic)).status).toBe(403);
    expect(await openRequests(served, LIMITED)).toEqual([]);
    expect((await approveAs(LIMITED)).status).toBe(404);
    const own = await world.cli('approvals', 'approve', id, ...server);
    expect([own.code, own.stdout + own.stderr]).toEqual([4, expect.stringContaining('FORBIDDEN')]);
    await expectValue(world, 'second');

    const approved = await approveAs(rev);
    expect(approved.status, approved.text).toBe(200);
    expect(JSON.parse(approved.text)).toMatchObject({
      ok: true,
      summary: { updated: 1 },
      approval: { id, state: 'done', decidedBy: 'rev' },
    });
    await expectValue(world, 'first');
    expect((await approveAs(rev)).status).toBe(409);
    expect(await openRequests(served)).toEqual([]);
    const story = (await world.records()).filter(
      ({ action, approval }) => action === 'request' || approval !== undefined,
    );
    expect(story.map(({ action, actor }) => `${action} ${actor.name}`)).toEqual([
      'request ann',
      'approve rev',
      'rollback ann',
    ]);
    expect(await world.chain()).toMatchObject({ kind: 'intact' });
  });

  it('a change waits outside of its window, also after a restart, until an operator overrides it or the window is open', async () => {
    const hour = (new Date().getUTCHours() + 12) % 24;
    const closed = `windows: [ { namespaces: ['*'], allow: '0 ${hour} * * *', for: 1h, timeZone: UTC } ]`;
    await using world = await openWorld({ config: configWith(closed) });
    await world.vault.put('db', { password: 'first' });
    const expectWaiting = async (served: ServiceProcess) => {
      await within(15_000, async () =>
        expect(await served.target('db')).toMatchObject({ state: 'waiting', code: 'OUTSIDE_WINDOW' }),
      );
      const waiting = `secretbridge_target_waiting{mapping="db",namespace="${world.ns('apps')}"}`;
      expect(await served.metric(waiting)).toBe(1);
      await expectValue(world, 'first');
    };
    {
      await using served = await world.serve();
      // A first sync and a repair do not wait.
      await rotate(world, 'first', 'second');
      await expectWaiting(served);
      expect((await served.stop()).code).toBe(0);
    }
    await using served = await world.serve();
    await expectWaiting(served);
    const planned = await world.cli('plan', '--output', 'json');
    expect(planned.code).toBe(2);
    expect(json(planned.stdout).targets).toMatchObject([{ action: 'update', code: 'OUTSIDE_WINDOW' }]);
    const waits = await world.cli('sync', '--mapping', 'db', '--output', 'json');
    expect(waits.code, waits.stderr).toBe(2);
    expect(json(waits.stdout)).toMatchObject({ ok: true, summary: { waiting: 1 } });
    await expectValue(world, 'first');

    expect((await world.cli('sync', '--override')).code).toBe(64);
    const override = ['--override', '--reason', 'leaked password', '--server', served.address];
    const forced = await world.cli('sync', '--mapping', 'db', ...override);
    expect(forced.code, forced.stderr).toBe(0);
    await expectValue(world, 'second');
    const flagged = await world.cli('audit', 'list', '--review', 'flagged', '--output', 'json');
    expect(json(flagged.stdout).records).toMatchObject([
      { action: 'command', note: 'sync db --override --reason "leaked password"', actor: { name: 'ann' } },
    ]);

    await rotate(world, 'second', 'third');
    await within(15_000, async () => expect(await served.target('db')).toMatchObject({ state: 'waiting' }));
    await world.configure({ config: configWith(closed.replace(/allow: '[^']*'/, "allow: '* * * * *'")) });
    await within(20_000, () => expectValue(world, 'third'));
    await within(5_000, async () => expect(await served.target('db')).toMatchObject({ state: 'synced' }));
  });
});
