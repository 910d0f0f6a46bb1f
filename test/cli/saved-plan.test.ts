import { readdir } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { type Bench, DB, FOREIGN, HEAD, openBench } from './harness.ts';

const FREE = `  - name: free
    target: { namespace: apps }
    data: { KEY: { store: local, key: free.txt } }
`;
const REMOVABLE = FREE.replace('target:', 'onMappingRemoved: delete\n    target:');
const MARKER = 'mArKeR-0f-a-pLaN';

const put = (bench: Bench, password: string) =>
  bench.write('store/db.json', JSON.stringify({ user: 'ann', password }));

async function openPlanned(config = HEAD + DB + FREE): Promise<Bench> {
  const bench = await openBench(config);
  await put(bench, MARKER);
  await bench.write('store/free.txt', 'free');
  return bench;
}

const save = (bench: Bench, ...more: string[]) => bench.run('plan', '--out', 'plan.json', ...more);
const apply = (bench: Bench, ...more: string[]) =>
  bench.run('sync', '--plan', 'plan.json', '--output', 'json', ...more);

describe('a saved plan', () => {
  it('is carried out exactly, and contains no value', async () => {
    await using bench = await openPlanned();
    const { code, stderr } = await save(bench);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: 'Saved the plan. `secretbridge sync --plan plan.json` carries it out.\n',
    });
    const text = await bench.read('plan.json');
    for (const form of [MARKER, Buffer.from(MARKER).toString('base64')]) expect(text).not.toContain(form);
    expect(JSON.parse(text)).toMatchObject({
      format: 'secretbridge.dev/plan/v1',
      instance: 'prod',
      configHash: expect.stringMatching(/^[0-9a-f]{64}$/),
      targets: [
        {
          mapping: 'db',
          namespace: 'apps',
          secret: 'db',
          action: 'create',
          sources: [{ store: 'local', key: 'db.json', version: expect.stringMatching(/^[0-9a-f]{8}:/) }],
          keys: [
            { name: 'PASSWORD', action: 'add', after: expect.stringMatching(/^[0-9a-f]{8}:/) },
            { name: 'USER', action: 'add' },
          ],
        },
        { mapping: 'free', action: 'create' },
      ],
    });
    const result = await apply(bench);
    expect(result).toMatchObject({ code: 0, json: { ok: true, summary: { created: 2 } } });
    expect(await bench.read('cluster/apps/db.yaml')).toContain(Buffer.from(MARKER).toString('base64'));
  });

  it('is refused after it was carried out, because the Secrets exist now', async () => {
    await using bench = await openPlanned();
    await save(bench);
    await apply(bench);
    const { code, json } = await apply(bench);
    expect(code).toBe(4);
    expect(json).toMatchObject({
      error: { code: 'PLAN_OUTDATED' },
      moved: [
        { what: 'secret', mapping: 'db', namespace: 'apps', secret: 'db', planned: 'none' },
        { what: 'change', mapping: 'db', planned: 'create', current: 'unchanged' },
        { what: 'secret', mapping: 'free' },
        { what: 'change', mapping: 'free' },
      ],
    });
  });

  it('changes nothing if a source has moved, and names the source', async () => {
    await using bench = await openPlanned();
    await save(bench);
    await put(bench, 'another');
    const { code, stderr, json } = await apply(bench);
    expect(code).toBe(4);
    expect(json).toMatchObject({
      moved: [{ what: 'source', store: 'local', key: 'db.json', mapping: 'db' }],
    });
    expect(stderr).toContain('PLAN_OUTDATED');
    expect(stderr).toContain('apps/db (mapping db): store local, key db.json has version');
    expect(await readdir(bench.folder)).not.toContain('cluster');
  });

  it('changes nothing if a Secret has moved, even one that the plan would not change', async () => {
    await using bench = await openPlanned();
    await bench.run('sync');
    await put(bench, 'second');
    await save(bench);
    const touched = await bench.read('cluster/apps/free.yaml');
    await bench.write('cluster/apps/free.yaml', touched.replace('labels:', 'labels:\n    touched: "yes"'));
    const before = await bench.read('cluster/apps/db.yaml');
    const { code, json } = await apply(bench);
    expect(code).toBe(4);
    expect(json).toMatchObject({ moved: [{ what: 'secret', mapping: 'free', secret: 'free' }] });
    expect(await bench.read('cluster/apps/db.yaml')).toBe(before);
  });

  it.each([
    ['a mapping', (text: string) => text.replace('name: free', 'name: other')],
    ['a setting that changes no target', (text: string) => `${text}brake: { share: 0.2 }\n`],
  ])('changes nothing if the configuration has moved: %s', async (_, change) => {
    await using bench = await openPlanned();
    await save(bench);
    await bench.write('secretbridge.yaml', change(await bench.read('secretbridge.yaml')));
    const { code, json, stderr } = await apply(bench);
    expect(code).toBe(4);
    expect(json).toMatchObject({ error: { code: 'PLAN_OUTDATED' }, moved: [{ what: 'configuration' }] });
    expect(stderr).toContain('the configuration has changed');
    expect(await readdir(bench.folder)).not.toContain('cluster');
  });

  it('carries out deletions, and refuses a deletion that the plan does not contain', async () => {
    const brake = 'brake: { share: 1 }\n';
    await using bench = await openPlanned(HEAD + brake + DB + REMOVABLE);
    await bench.run('sync');
    await bench.write('secretbridge.yaml', HEAD + brake + DB);
    await save(bench);
    expect(JSON.parse(await bench.read('plan.json'))).toMatchObject({
      targets: [
        { mapping: 'db', action: 'unchanged' },
        { mapping: 'free', action: 'delete', resourceVersion: expect.any(String) },
      ],
    });
    const whole = await bench.read('plan.json');
    const without = JSON.parse(whole);
    without.targets.pop();
    await bench.write('plan.json', JSON.stringify(without));
    expect(await apply(bench)).toMatchObject({
      code: 4,
      json: { moved: [{ what: 'change', mapping: 'free', planned: 'nothing', current: 'delete' }] },
    });
    expect(await readdir(`${bench.folder}/cluster/apps`)).toContain('free.yaml');
    await bench.write('plan.json', whole);
    expect(await apply(bench)).toMatchObject({ code: 0, json: { summary: { deleted: 1 } } });
    expect(await readdir(`${bench.folder}/cluster/apps`)).not.toContain('free.yaml');
  });

  it('of one mapping leaves all others alone', async () => {
    await using bench = await openPlanned();
    await save(bench, '--mapping', 'free');
    await put(bench, 'moved, but of another mapping');
    expect(await apply(bench)).toMatchObject({ code: 0, json: { summary: { created: 1 } } });
    expect(await readdir(`${bench.folder}/cluster/apps`)).toEqual(['free.yaml']);
  });

  it('with a target that fails carries out the rest, and reports the target as it was planned', async () => {
    await using bench = await openPlanned();
    await bench.write('store/db.json', '{"user":"ann"}');
    expect(await save(bench)).toMatchObject({ code: 4 });
    expect(await apply(bench)).toMatchObject({
      code: 4,
      json: {
        summary: { created: 1, failed: 1 },
        targets: [{ code: 'PROPERTY_MISSING' }, { outcome: 'created' }],
      },
    });
    await save(bench);
    await put(bench, 'there now');
    expect(await apply(bench)).toMatchObject({
      code: 4,
      json: {
        moved: expect.arrayContaining([expect.objectContaining({ planned: 'fail', current: 'create' })]),
      },
    });
  });

  it('is recorded as a command, and as refused if it is outdated', async () => {
    await using bench = await openPlanned();
    await save(bench);
    await put(bench, 'another');
    await apply(bench);
    const { json } = await bench.run('audit', 'list', '--action', 'command', '--output', 'json');
    expect(json).toMatchObject({
      records: [{ note: 'sync --plan', outcome: 'refused', code: 'PLAN_OUTDATED' }, { note: 'plan' }],
    });
  });

  it.each([
    [['sync', '--plan', 'none.json'], 'none.json'],
    [['sync', '--plan', 'secretbridge.yaml'], 'is not a saved plan'],
    [['sync', '--plan', 'plan.json', '--mapping', 'db'], 'cannot be given together'],
    [['sync', '--plan', 'plan.json', '--server', 'http://127.0.0.1:1'], 'cannot be given together'],
    [['plan', '--adopt', '--out', 'plan.json'], 'cannot be given together'],
    [['plan', '--out', 'none/plan.json'], 'none/plan.json'],
  ])('a wrong command line is a usage error: %j', async (args, message) => {
    await using bench = await openPlanned();
    const { code, stderr } = await bench.run(...args);
    expect(code).toBe(64);
    expect(stderr).toContain(message);
  });
});

describe('`plan --output markdown`', () => {
  it('prints a table for a comment on a pull request, without values', async () => {
    await using bench = await openPlanned();
    await bench.write('cluster/apps/free.yaml', FOREIGN.replace('name: theirs', 'name: free'));
    const { code, stdout } = await bench.run('plan', '--output', 'markdown');
    expect(code).toBe(4);
    expect(stdout).not.toContain(MARKER);
    expect(stdout).toBe(`### Plan for 2 targets: 1 to create, 1 refused

| change | Secret | mapping | keys |
| --- | --- | --- | --- |
| create | \`apps/db\` | db | +\`PASSWORD\` +\`USER\` |
| **refuse** | \`apps/free\` | free | \`NOT_OWNED\`: ${stdout.split('`NOT_OWNED`: ')[1]?.split(' |')[0]} |

Values are never shown. \`+\` adds a key, \`~\` changes it, \`-\` removes it.
`);
  });

  it('omits unchanged targets, and prints an error on standard error only', async () => {
    await using bench = await openPlanned();
    await bench.run('sync');
    const { code, stdout } = await bench.run('plan', '--output', 'markdown');
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `### Plan for 2 targets: 2 unchanged

Values are never shown. \`+\` adds a key, \`~\` changes it, \`-\` removes it.
`,
    });
    expect((await bench.run('plan', '--all', '--output', 'markdown')).stdout).toContain(
      '| unchanged | `apps/db` |',
    );
    await bench.write('secretbridge.yaml', 'mappings: 1');
    const invalid = await bench.run('plan', '--output', 'markdown');
    expect(invalid).toMatchObject({ code: 3, stdout: '' });
  });

  it('is a format of `plan` only', async () => {
    await using bench = await openPlanned();
    expect(await bench.run('sync', '--output', 'markdown')).toMatchObject({ code: 64 });
  });
});
