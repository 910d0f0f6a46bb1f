import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Bench, DB, FOREIGN, HEAD, openBench } from './harness.ts';

const THEIRS = `  - name: theirs
    target: { namespace: apps }
    data: { KEY: { store: local, key: db.json, property: user } }
`;
const GONE = `  - name: gone
    target: { namespace: apps }
    data: { KEY: { store: local, key: gone.json } }
`;

const rotate = (bench: Bench) => bench.write('store/db.json', '{"user":"ann","password":"second"}');
const FINGERPRINT = expect.stringMatching(/^[0-9a-f]{8}:[0-9a-f]{64}$/);

describe('plan', () => {
  it('`plan` shows key by key what a sync would create, writes nothing, and exits with 2', async () => {
    await using bench = await openBench();
    const { code, stdout, stderr } = await bench.run('plan');
    expect({ code, stderr }).toEqual({ code: 2, stderr: '' });
    expect(stdout.replace(/[0-9a-f]{8}…/g, '<print>…')).toBe(`create    apps/db  mapping db
  + PASSWORD  (sensitive)  <print>…
  + USER      (sensitive)  <print>…

Plan for 1 target: 1 to create.
`);
    expect(await readdir(bench.folder)).not.toContain('cluster');
  });

  it('`plan` shows the changes of an adoption with --adopt, and does not carry them out', async () => {
    await using bench = await openBench(`${HEAD}mappings:\n${THEIRS}`);
    await bench.write('cluster/apps/theirs.yaml', FOREIGN);
    expect(await bench.run('plan')).toMatchObject({ code: 4, stdout: expect.stringContaining('NOT_OWNED') });
    const { code, stdout } = await bench.run('plan', '--adopt');
    expect(code).toBe(2);
    expect(stdout).toMatch(/^adopt {5}apps\/theirs {2}mapping theirs\n {2}~ KEY {2}\(sensitive\)/);
    expect(await bench.read('cluster/apps/theirs.yaml')).toBe(FOREIGN);
    expect(await bench.run('sync')).toMatchObject({ code: 4 });
  });

  it('`plan` mentions `prune` if there are orphaned targets', async () => {
    await using bench = await openBench();
    await bench.run('sync');
    await bench.write('secretbridge.yaml', HEAD);
    const { code, stdout } = await bench.run('plan');
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `Plan for 0 targets: nothing to do.
1 orphaned target kept, which no mapping uses any more. \`secretbridge prune\` lists orphaned targets.
`,
    });
    expect(await bench.run('plan', '--output', 'json')).toMatchObject({ json: { targets: [], kept: 1 } });
    expect((await bench.run('prune')).stdout).toContain('apps/db');
  });

  it('`plan`, `sync` and `prune` report old targets that wait for their replacement', async () => {
    const named = (secret: string) =>
      `${HEAD}mappings:\n${THEIRS.replace('namespace: apps', `namespace: apps, secret: ${secret}`)}    onMappingRemoved: delete\n`;
    await using bench = await openBench(named('old'));
    await bench.run('sync');
    await bench.write('secretbridge.yaml', named('new'));
    await bench.write('cluster/apps/new.yaml', FOREIGN.replace('name: theirs', 'name: new'));
    const waitingMessage = {
      stderr: expect.stringContaining(
        'orphaned target apps/old of mapping theirs stays until apps/new exists',
      ),
    };
    expect(await bench.run('plan')).toMatchObject({ code: 4, ...waitingMessage });
    expect(await bench.run('sync')).toMatchObject({ code: 4, ...waitingMessage });
    const pruned = await bench.run('prune');
    expect(pruned).toMatchObject({ code: 0, ...waitingMessage });
    expect(pruned.stdout).toBe(
      'Nothing to delete now: the orphaned targets stay until their mapping has created its new target.\n',
    );
    expect(await bench.run('prune', '--yes')).toMatchObject({ code: 0, ...waitingMessage });
    expect(await readdir(join(bench.folder, 'cluster/apps'))).toContain('old.yaml');
  });

  it('`plan` shows the renaming of the only target exactly as `sync` carries it out', async () => {
    const named = (secret: string) =>
      `${HEAD}${DB.replace('namespace: apps', `namespace: apps, secret: ${secret}`)}    onMappingRemoved: delete\n`;
    await using bench = await openBench(named('old'));
    await bench.run('sync');
    await bench.write('secretbridge.yaml', named('new'));
    expect(await bench.run('plan', '--output', 'json')).toMatchObject({
      code: 2,
      json: {
        targets: [
          { secret: 'new', action: 'create' },
          { secret: 'old', action: 'delete' },
        ],
        held: [],
      },
    });
    expect(await bench.run('sync')).toMatchObject({ code: 0 });
    expect(await readdir(join(bench.folder, 'cluster/apps'))).toEqual(['new.yaml']);
  });

  it('`plan` suggests the next command only on a terminal', async () => {
    await using bench = await openBench(`${HEAD}${DB}${THEIRS}`);
    const interactive = { interactive: true };
    expect((await bench.runWith(interactive, 'plan')).stderr).toContain(
      '`secretbridge sync` applies these changes',
    );
    await bench.write('cluster/apps/theirs.yaml', FOREIGN);
    expect((await bench.runWith(interactive, 'plan')).stderr).toContain('`secretbridge plan --adopt`');
    for (const context of [{}, interactive])
      expect((await bench.runWith(context, 'plan', '--output', 'json')).stderr).toBe('');
    expect((await bench.run('plan')).stderr).toBe(
      'Run "secretbridge explain-error NOT_OWNED" for details.\n',
    );
  });

  it('`plan` prints the documented JSON', async () => {
    await using bench = await openBench();
    await bench.run('sync');
    await rotate(bench);
    const { code, json, stderr } = await bench.run('plan', '--output', 'json');
    expect({ code, stderr }).toEqual({ code: 2, stderr: '' });
    expect(json).toEqual({
      changes: 1,
      held: [],
      warnings: [],
      targets: [
        {
          mapping: 'db',
          namespace: 'apps',
          secret: 'db',
          action: 'update',
          keys: [
            { name: 'PASSWORD', action: 'change', before: FINGERPRINT, after: FINGERPRINT },
            { name: 'USER', action: 'keep', before: FINGERPRINT, after: FINGERPRINT },
          ],
        },
      ],
    });
  });

  it('`plan` exits with 0 if no target would change, and lists targets in sync only with --all', async () => {
    await using bench = await openBench();
    await bench.run('sync');
    expect(await bench.run('plan')).toMatchObject({ code: 0, stdout: 'Plan for 1 target: 1 unchanged.\n' });
    expect((await bench.run('plan', '--all')).stdout).toMatch(
      /^unchanged apps\/db {2}mapping db\n {2}= PASS/,
    );
    expect((await bench.run('plan', '--output', 'json')).json).toMatchObject({ changes: 0 });
  });

  it('`plan` shows only the changed key after a rotation', async () => {
    await using bench = await openBench();
    await bench.run('sync');
    await rotate(bench);
    const { stdout } = await bench.run('plan');
    expect(stdout).toMatch(/~ PASSWORD {2}\(sensitive\) {2}[0-9a-f]{8}… → [0-9a-f]{8}…/);
    expect(stdout).toContain('= USER');
    expect(stdout).not.toMatch(/first|second|ann/);
  });

  it('`plan` shows the keys that an adoption would remove', async () => {
    await using bench = await openBench(`${HEAD}mappings:\n${THEIRS}    onConflict: adopt\n`);
    await bench.write('cluster/apps/theirs.yaml', FOREIGN.replace('KEY: theirs', 'OLD: theirs'));
    const { stdout } = await bench.run('plan');
    expect(stdout).toContain('+ KEY');
    expect(stdout).toContain('- OLD');
  });

  it('`plan` can be limited to a single mapping', async () => {
    await using bench = await openBench(HEAD + DB + GONE);
    const { code, json } = await bench.run('plan', '--mapping', 'db', '--output', 'json');
    expect(code).toBe(2);
    expect(json).toMatchObject({ targets: [{ mapping: 'db' }] });
  });
});

describe('sync', () => {
  it('`sync` prints its changes on stdout and its progress on stderr', async () => {
    await using bench = await openBench();
    const { code, stdout, stderr } = await bench.run('sync');
    expect(code).toBe(0);
    expect(stdout).toBe('created   apps/db  PASSWORD, USER\n\n1 target: 1 created.\n');
    expect(stderr).toBe('Syncing 1/1\n');
    expect(await bench.read('cluster/apps/db.yaml')).toContain(Buffer.from('first').toString('base64'));
  });

  it('`sync` prints the documented JSON', async () => {
    await using bench = await openBench();
    const { code, json } = await bench.run('sync', '--output', 'json');
    expect(code).toBe(0);
    expect(json).toEqual({
      ok: true,
      requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      summary: { created: 1, updated: 0, deleted: 0, unchanged: 0, refused: 0, held: 0, failed: 0 },
      targets: [
        {
          mapping: 'db',
          namespace: 'apps',
          secret: 'db',
          outcome: 'created',
          keys: [
            { name: 'PASSWORD', action: 'add', after: FINGERPRINT },
            { name: 'USER', action: 'add', after: FINGERPRINT },
          ],
        },
      ],
      held: [],
      warnings: [],
    });
  });

  it('with `--output yaml`, `sync` prints the data of its JSON output as YAML', async () => {
    await using bench = await openBench();
    const { stdout } = await bench.run('sync', '--output', 'yaml');
    expect(stdout).toContain('summary:\n  created: 1\n');
    expect(stdout).toContain('\n  - mapping: db\n    namespace: apps\n');
  });

  it('`sync` lists targets by namespace, then by name', async () => {
    const mapping = (name: string, namespace: string) =>
      `  - name: ${name}\n    target: { namespace: ${namespace} }\n    data: { A: { store: local, key: db.json } }\n`;
    const names = [mapping('z', 'b'), mapping('y', 'a'), mapping('a', 'b'), mapping('x', 'a')];
    await using bench = await openBench(`${HEAD}mappings:\n${names.join('')}`);
    for (const [command, ...more] of [['plan'], ['sync']] as const) {
      const { json } = await bench.run(command, ...more, '--output', 'json');
      const { targets } = json as { targets: { namespace: string; secret: string }[] };
      expect(targets.map(({ namespace, secret }) => `${namespace}/${secret}`)).toEqual([
        'a/x',
        'a/y',
        'b/a',
        'b/z',
      ]);
    }
  });

  it('`sync` changes nothing in a second run', async () => {
    await using bench = await openBench();
    await bench.run('sync');
    const before = await bench.read('cluster/apps/db.yaml');
    expect(await bench.run('sync')).toMatchObject({ code: 0, stdout: '1 target: 1 unchanged.\n' });
    expect(await bench.read('cluster/apps/db.yaml')).toBe(before);
  });

  it('`sync` refuses a Secret of another owner, prints the reason and a remedy, and exits with 4', async () => {
    await using bench = await openBench(HEAD + DB + THEIRS);
    await bench.write('cluster/apps/theirs.yaml', FOREIGN);
    const { code, stdout } = await bench.run('sync');
    expect(code).toBe(4);
    expect(stdout).toBe(`created   apps/db  PASSWORD, USER
refused   apps/theirs  mapping theirs
  NOT_OWNED: a Secret with this name exists and is not ours
  Choose another name, or set \`onConflict: adopt\` to take the Secret over. Run \`secretbridge plan\` first.

2 targets: 1 created, 1 refused.
`);
    expect(await bench.read('cluster/apps/theirs.yaml')).toBe(FOREIGN);
    const { json } = await bench.run('sync', '--output', 'json');
    expect(json).toMatchObject({
      ok: false,
      summary: { unchanged: 1, refused: 1 },
      targets: [{ secret: 'db' }, { secret: 'theirs', outcome: 'refused', code: 'NOT_OWNED', keys: [] }],
    });
    expect((await bench.run('plan', '--output', 'json')).code).toBe(4);
  });

  it('`sync` and `plan` exit with 4 if a person must act on one target, even if another target needs a change', async () => {
    await using bench = await openBench(HEAD + DB + GONE);
    expect((await bench.run('plan')).code).toBe(4);
    const { code, stdout } = await bench.run('sync');
    expect(code).toBe(4);
    expect(stdout).toContain(
      'SOURCE_ABSENT: store local, key gone.json: the source does not exist in the store',
    );
  });

  it('`sync` holds a change that would leave no key in the Secret, and the id of the held change is stable', async () => {
    await using bench = await openBench(`${HEAD}mappings:
  - name: all
    target: { namespace: apps }
    dataFrom: [ { store: local, key: db.json } ]
`);
    await bench.run('sync');
    await bench.write('store/db.json', '{}');
    const first = await bench.run('sync', '--output', 'json');
    const again = await bench.run('plan', '--output', 'json');
    expect([first.code, again.code]).toEqual([4, 4]);
    const why = { reason: 'no key would be left', since: expect.stringMatching(/^\d{4}-.*Z$/) };
    const held = [{ mapping: 'all', namespace: 'apps', secret: 'all', action: 'delete', ...why }];
    expect(first.json).toMatchObject({
      summary: { held: 1 },
      targets: [{ outcome: 'held', code: 'HELD' }],
      held,
    });
    expect(again.json).toMatchObject({ changes: 0, targets: [{ action: 'hold', code: 'HELD' }], held });
    const id = (json: unknown) => (json as { held: { id: string }[] }).held[0]?.id;
    expect(id(first.json)).toMatch(/^[0-9a-f]{12}$/);
    expect(id(again.json)).toBe(id(first.json));
    const sinceOf = (json: unknown) => (json as { held: { since: string }[] }).held[0]?.since;
    expect(sinceOf(again.json)).toBe(sinceOf(first.json));
    // Each output lists the hold once, with its id, its keys, its reason and its time.
    for (const command of ['plan', 'sync']) {
      const { stdout } = await bench.run(command);
      expect(stdout.match(/apps\/all/g)).toHaveLength(1);
      expect(stdout).toMatch(
        new RegExp(
          `^held ${id(first.json)} {2}apps/all {2}would lose .+\\n {2}no key would be left; held since [-\\d]+ [:\\d]+ UTC$`,
          'm',
        ),
      );
    }
    const holds = async () => {
      const { json } = await bench.run('audit', 'list', '--action', 'hold', '--output', 'json');
      return (json as { records: { keys: { removed: string[] } }[] }).records.map(({ keys }) => keys.removed);
    };
    const recorded = ['password', 'user'];
    expect(await holds()).toEqual([recorded]);
    // Losing a different key is a different change, so it gets a record of its own.
    const target = 'cluster/apps/all.yaml';
    await bench.write(target, (await bench.read(target)).replace(/^data:\n/m, 'data:\n  Z: eA==\n'));
    expect(id((await bench.run('sync', '--output', 'json')).json)).not.toBe(id(first.json));
    await bench.run('sync');
    expect(await holds()).toEqual([['Z', ...recorded], recorded]);
  });

  it('`sync` writes separate records for two instances that share an audit log and have equal target names', async () => {
    const named = (instance: string) =>
      `${HEAD.replace('instance: prod', `instance: ${instance}`).replace('./cluster', `./${instance}`)}audit: { store: { kind: sqlite, path: ./audit.db } }\n${DB}`;
    await using bench = await openBench();
    for (const instance of ['one', 'two']) {
      await bench.write(`${instance}.yaml`, named(instance));
      await bench.write(`${instance}/apps/db.yaml`, FOREIGN.replace('theirs', 'db'));
    }
    for (const _ of [1, 2])
      for (const instance of ['one', 'two'])
        expect(await bench.run('sync', '--config', `${instance}.yaml`)).toMatchObject({ code: 4 });
    const list = await bench.run('audit', 'list', '--config', 'one.yaml', '--action', 'refuse', '-o', 'json');
    expect(list.json).toMatchObject({ records: [{ instance: 'two' }, { instance: 'one' }] });
    expect((list.json as { records: unknown[] }).records).toHaveLength(2);
  });

  it('`sync` skips a mapping that the access rules do not allow, and syncs the other mappings', async () => {
    const access = 'access: [ { namespaces: [apps], stores: [local], keys: [db.json] } ]\n';
    await using bench = await openBench(HEAD + access + DB + GONE);
    const { code, json } = await bench.run('sync', '--output', 'json');
    expect(code).toBe(4);
    expect(json).toMatchObject({
      targets: [{ outcome: 'created' }, { outcome: 'failed', code: 'NOT_ALLOWED' }],
    });
    const { stdout } = await bench.run('audit', 'list', '--key', 'gone.json');
    expect(stdout).toBe('No record matches.\n');
    const validated = await bench.run('validate', '--output', 'json');
    expect(validated).toMatchObject({ code: 3, json: { problems: [{ code: 'NOT_ALLOWED' }] } });
  });

  it('`sync` changes nothing if the audit log cannot be written', async () => {
    await using bench = await openBench();
    await bench.write('state/audit.db', 'this is no database');
    const { code, stdout, stderr } = await bench.run('sync', '--output', 'json');
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      error: { code: 'AUDIT_UNAVAILABLE', remedy: expect.stringContaining('`audit.store`') },
    });
    expect(stderr).toContain(join(bench.folder, 'state', 'audit.db'));
    expect(await readdir(bench.folder)).not.toContain('cluster');
  });
});

describe('an emptied configuration file', () => {
  it("a target is not deleted if somebody empties the configuration file that contained the target's mapping", async () => {
    const [first, ...more] = ['one', 'two', 'three'].map(
      (name) => `  - name: ${name}
    target: { namespace: apps }
    onMappingRemoved: delete
    data: { KEY: { store: local, key: db.json, property: user } }
`,
    );
    await using bench = await openBench();
    await bench.write('conf/store/db.json', '{"user":"ann"}');
    await bench.write('conf/main.yaml', `${HEAD}mappings:\n${more.join('')}`);
    await bench.write('conf/one.yaml', `mappings:\n${first}`);
    expect(await bench.run('sync', '--config', 'conf')).toMatchObject({ code: 0 });
    await bench.write('conf/one.yaml', '');
    const { code, stderr } = await bench.run('sync', '--config', 'conf');
    expect({ code, stderr }).toMatchObject({ code: 3, stderr: expect.stringContaining('the file is empty') });
    expect(await readdir(join(bench.folder, 'conf/cluster/apps'))).toContain('one.yaml');
  });
});

describe('a key that another field manager has set to a different value', () => {
  it('the merge of a key is refused if another field manager has set the key to a different value, and a person must act', async () => {
    await using bench = await openBench(`${HEAD}mappings:
  - name: theirs
    target: { namespace: apps, mode: merge }
    data: { KEY: { store: local, key: db.json, property: user } }
`);
    await bench.write('cluster/apps/theirs.yaml', FOREIGN);
    for (const command of ['sync', 'plan']) {
      const { code, json } = await bench.run(command, '--output', 'json');
      expect(code).toBe(4);
      expect(json).toMatchObject({
        targets: [{ code: 'CONFLICT', remedy: expect.stringContaining('have their owner release them') }],
      });
    }
    expect(await bench.read('cluster/apps/theirs.yaml')).toBe(FOREIGN);
  });

  it('a plan refuses the merge of a key if a mapping earlier in the configuration merges a different value under this key', async () => {
    const merge = (name: string, property: string) => `  - name: ${name}
    target: { namespace: apps, secret: theirs, mode: merge }
    data:
      MORE: { store: local, key: db.json, property: ${property} }
      ${name.toUpperCase()}: { store: local, key: db.json, property: user }
`;
    const more = [merge('a', 'user'), merge('b', 'user'), merge('c', 'password')];
    await using bench = await openBench(`${HEAD}mappings:\n${more.join('')}`);
    await bench.write('cluster/apps/theirs.yaml', FOREIGN);
    const plan = await bench.run('plan', '--output', 'json');
    const sync = await bench.run('sync', '--output', 'json');
    const message = expect.stringContaining('hold MORE with');
    const remedy = expect.stringContaining('have their owner release them');
    const refused = { mapping: 'c', code: 'CONFLICT', message, remedy };
    expect(plan).toMatchObject({
      code: 4,
      json: {
        changes: 2,
        targets: [{ action: 'update' }, { action: 'update' }, { action: 'refuse', ...refused }],
      },
    });
    expect(sync).toMatchObject({
      code: 4,
      json: { targets: [{ outcome: 'updated' }, { outcome: 'updated' }, { outcome: 'refused', ...refused }] },
    });
    const keysOf = ({ json }: typeof plan) => (json as { targets: { keys: object }[] }).targets[2]?.keys;
    expect(keysOf(sync)).toEqual(keysOf(plan));
  });
});

describe('`maxAge`', () => {
  const MAPPINGS = `${HEAD}defaults: { maxAge: 5d }
mappings:
  - name: db
    target: { namespace: apps }
    data: { KEY: { store: local, key: db.json } }
  - name: young
    maxAge: 30d
    target: { namespace: apps }
    data: { KEY: { store: local, key: db.json } }
  - name: other
    target: { namespace: apps }
    data: { KEY: { store: local, key: other.txt } }
`;
  const writeOldSources = async (bench: Bench, days: number, ...names: readonly string[]) => {
    const time = new Date(bench.clock.now() - days * 86_400_000);
    for (const name of names) await utimes(join(bench.folder, 'store', name), time, time);
  };

  it('`sync` names each source that is older than `maxAge`, and does not change the exit code', async () => {
    await using bench = await openBench(MAPPINGS);
    await bench.write('store/other.txt', 'o');
    await writeOldSources(bench, 6, 'db.json', 'other.txt');
    const line = (mapping: string, key: string) =>
      `older than \`maxAge\`: store local, key ${key} of mapping ${mapping}: unchanged since 2027-02-23, 6 days of 5\n`;
    const both = `${line('db', 'db.json')}${line('other', 'other.txt')}`;
    // The second run changes no target, but the source is still too old.
    for (const _ of ['created', 'unchanged']) {
      const { code, stderr } = await bench.run('sync');
      expect({ code, stderr: stderr.replace(/^Syncing .*\n/gm, '') }).toEqual({ code: 0, stderr: both });
    }
    const one = await bench.run('sync', '--mapping', 'other', '--output', 'json');
    expect(one).toMatchObject({
      code: 0,
      json: {
        ok: true,
        notRotated: [
          {
            mapping: 'other',
            store: 'local',
            key: 'other.txt',
            since: '2027-02-23T12:00:00.000Z',
            days: 6,
            maxDays: 5,
          },
        ],
      },
    });
    await writeOldSources(bench, 1, 'db.json', 'other.txt');
    const { json, stderr } = await bench.run('sync', '--output', 'json');
    expect(json).not.toHaveProperty('notRotated');
    expect(stderr).not.toContain('maxAge');
  });

  it('`sync` names the first overdue sources of a long list, and counts the remaining sources', async () => {
    const names = Array.from({ length: 12 }, (_, n) => `k${n}`);
    await using bench = await openBench(`${HEAD}defaults: { maxAge: 5d }
mappings: [ { name: all, target: { namespace: apps }, dataFrom: [ { store: local, find: { path: many } } ] } ]
`);
    for (const name of names) await bench.write(`store/many/${name}`, name);
    await writeOldSources(bench, 6, ...names.map((name) => `many/${name}`));
    const { stderr } = await bench.run('sync');
    expect(stderr.match(/^older than/gm)).toHaveLength(10);
    expect(stderr).toContain('\n… and 2 more sources; `--output json` lists all\n');
  });
});
