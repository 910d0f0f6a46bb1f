import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { kubernetes } from '../services/inject.ts';
import { type BenchOptions, base64, openBench, openIntents, recordedChanges } from './bench.ts';
import { manyMappings, seed, wrongTargets } from './many-mappings.ts';

const one =
  (more = ''): BenchOptions['mappings'] =>
  ({ prefix, namespace }) =>
    `  - name: app
    target: { namespace: ${namespace} }
    data: { PASSWORD: { store: vault, key: ${prefix}/app, property: password } }
${more}`;

async function openOne(more?: string) {
  const bench = await openBench({ mappings: one(more), inProcess: true });
  await bench.vault.put('app', { password: 'first' });
  return bench;
}

const FOREIGN = {
  metadata: { name: 'app', labels: { theirs: 'yes' }, annotations: { 'example.com/note': 'mine' } },
  data: { OLD: base64('theirs') },
};
const OWNER = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  name: 'web',
  uid: '00000000-0000-4000-8000-000000000001',
  controller: true,
};

describe('a foreign Secret', () => {
  it('refuses a foreign Secret, and leaves it unchanged', async () => {
    await using bench = await openOne();
    await bench.put('app', FOREIGN);
    const before = await bench.secret('app');
    const report = await bench.sync();
    expect(report).toMatchObject({
      code: 4,
      summary: { refused: 1 },
      targets: [{ outcome: 'refused', code: 'NOT_OWNED', remedy: expect.stringContaining('adopt') }],
    });
    expect(await bench.secret('app')).toEqual(before);
    expect((await bench.records()).filter(({ action }) => action === 'refuse')).toMatchObject([
      { namespace: bench.namespace, secret: 'app', outcome: 'refused', code: 'NOT_OWNED' },
    ]);
  });

  it('adopts a foreign Secret with `adopt`, keeps foreign labels and annotations, and writes our data', async () => {
    await using bench = await openOne('    onConflict: adopt\n');
    await bench.put('app', FOREIGN);
    const before = await bench.secret('app');
    const planned = JSON.parse((await bench.run('plan', '--output', 'json')).stdout) as {
      targets: { keys: { name: string; action: string }[] }[];
    };
    expect(planned.targets[0]?.keys.map(({ name, action }) => `${action} ${name}`)).toEqual([
      'remove OLD',
      'add PASSWORD',
    ]);
    expect(await bench.secret('app')).toEqual(before);
    expect(await bench.sync()).toMatchObject({ code: 0, summary: { updated: 1 } });
    expect(await bench.secret('app')).toMatchObject({
      data: { PASSWORD: base64('first') },
      metadata: {
        labels: { theirs: 'yes', 'secretbridge.dev/instance': 'e2e' },
        annotations: { 'example.com/note': 'mine' },
      },
    });
    expect(Object.keys((await bench.secret('app'))?.data ?? {})).toEqual(['PASSWORD']);
    expect(await bench.sync()).toMatchObject({ code: 0, summary: { unchanged: 1 } });
    expect((await bench.records()).map(({ action }) => action)).toContain('adopt');
  });

  it('needs `adoptAndDropOwner` to adopt a Secret that has a controller', async () => {
    await using bench = await openOne('    onConflict: adopt\n');
    await bench.put('app', { ...FOREIGN, metadata: { ...FOREIGN.metadata, ownerReferences: [OWNER] } });
    const before = await bench.secret('app');
    expect(await bench.sync()).toMatchObject({ code: 4, targets: [{ code: 'NOT_OWNED' }] });
    expect(await bench.secret('app')).toEqual(before);
    await bench.configure({ mappings: one('    onConflict: adoptAndDropOwner\n') });
    expect(await bench.sync()).toMatchObject({ code: 0, summary: { updated: 1 } });
    expect((await bench.secret('app'))?.metadata.ownerReferences).toBeUndefined();
  });

  it('refuses a Secret of another instance as TARGET_CLAIMED, with every value of `onConflict`', async () => {
    await using bench = await openOne();
    expect(await bench.sync()).toMatchObject({ code: 0, summary: { created: 1 } });
    const before = await bench.secret('app');
    for (const more of ['', '    onConflict: adopt\n', '    onConflict: adoptAndDropOwner\n']) {
      await bench.configure({ instance: 'other', mappings: one(more) });
      await bench.vault.put('app', { password: 'second' });
      expect(await bench.sync()).toMatchObject({
        code: 4,
        targets: [{ outcome: 'refused', code: 'TARGET_CLAIMED', message: expect.stringContaining('e2e') }],
      });
    }
    expect(await bench.secret('app')).toEqual(before);
    await bench.configure({ instance: 'e2e', mappings: one() });
    expect(await bench.sync()).toMatchObject({ code: 0, summary: { updated: 1 } });
  });

  it('refuses a Secret that lost our label, and does not adopt it again', async () => {
    for (const label of ['secretbridge.dev/instance', 'secretbridge.dev/mapping']) {
      await using bench = await openOne();
      await bench.sync();
      await bench.patch('app', { metadata: { labels: { [label]: null } } });
      const before = await bench.secret('app');
      await bench.vault.put('app', { password: 'second' });
      expect(await bench.sync()).toMatchObject({ code: 4, targets: [{ code: 'NOT_OWNED' }] });
      expect(await bench.secret('app')).toEqual(before);
    }
  });
});

describe('a managed target', () => {
  it('repairs a managed target after an edit of its data, and keeps foreign labels', async () => {
    await using bench = await openOne();
    await bench.sync();
    await bench.patch('app', {
      metadata: { labels: { theirs: 'yes' } },
      data: { PASSWORD: base64('by hand'), MORE: base64('x') },
    });
    expect(await bench.sync()).toMatchObject({ code: 0, summary: { updated: 1 } });
    const { data, metadata } = (await bench.secret('app')) ?? {};
    expect(data).toEqual({ PASSWORD: base64('first') });
    expect(metadata?.labels?.theirs).toBe('yes');
  });

  it('creates a managed target again after it was deleted', async () => {
    await using bench = await openOne();
    await bench.sync();
    const { request } = kubernetes();
    await request('DELETE', `/api/v1/namespaces/${bench.namespace}/secrets/app`);
    expect(await bench.sync()).toMatchObject({ code: 0, summary: { created: 1 } });
  });

  it('a managed target can be handed over to another owner as documented, and then receives merged keys', async () => {
    const mappings =
      (mode: string): BenchOptions['mappings'] =>
      (names) =>
        `${one()(names).replace(' }', `, mode: ${mode} }`)}${one()(names)
          .replace('name: app', 'name: beside')
          .replace(' }', ', mode: merge }')}`;
    await using bench = await openBench({ mappings: mappings('own'), scope: 'namespace', inProcess: true });
    const sync = () => bench.sync('--mapping', 'app');
    await bench.vault.put('app', { password: 'first' });
    expect(await sync()).toMatchObject({ code: 0, summary: { created: 1 } });
    await bench.patch('app', { data: { THEIRS: base64('kept') } });
    const unlabelled = { 'secretbridge.dev/instance': null, 'secretbridge.dev/mapping': null };
    await bench.patch('app', { metadata: { labels: unlabelled } });
    await bench.configure({ mappings: mappings('merge') });
    expect(await sync()).toMatchObject({ code: 0, summary: { updated: 1 } });
    await bench.vault.put('app', { password: 'second' });
    // The API server still records us as the manager of all keys.
    expect(await sync()).toMatchObject({ code: 4, targets: [{ code: 'CONFLICT' }] });

    const { request } = kubernetes();
    const path = `/api/v1/namespaces/${bench.namespace}/secrets/app`;
    type Fields = { readonly metadata: { readonly managedFields: readonly { readonly manager: string }[] } };
    const { body: live } = await request<Fields>('GET', path);
    const managedFields = live.metadata.managedFields.filter(({ manager }) => manager !== 'secretbridge');
    expect(managedFields).toHaveLength(live.metadata.managedFields.length - 1);
    const replaced = { ...live, metadata: { ...live.metadata, managedFields } };
    expect((await request('PUT', path, replaced)).status).toBe(200);
    expect(await sync()).toMatchObject({ code: 0, summary: { updated: 1 } });
    expect((await bench.secret('app'))?.data).toEqual({ PASSWORD: base64('second'), THEIRS: base64('kept') });
  });

  it('a managed target keeps its data when its source is deleted from the store', async () => {
    await using bench = await openOne();
    await bench.sync();
    const before = await bench.secret('app');
    await bench.vault.remove('app');
    expect(await bench.sync()).toMatchObject({
      code: 4,
      targets: [{ outcome: 'failed', code: 'SOURCE_ABSENT' }],
    });
    expect(await bench.secret('app')).toEqual(before);
  });
});

interface AuditEvent {
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username: string };
  readonly objectRef?: { readonly resource: string; readonly name?: string };
  readonly responseStatus?: { readonly code: number };
}

/** Returns the successful changes by one user, as `<verb> <secret>`, sorted. */
async function writesBy(user: string, auditLogPath: string): Promise<readonly string[]> {
  const lines = (await readFile(auditLogPath, 'utf8')).split('\n').filter((line) => line.includes(user));
  return (
    lines
      .map((line) => JSON.parse(line) as AuditEvent)
      .filter((event) => event.user.username === user)
      // `doctor` sends dry runs, which are no changes.
      .filter(({ requestURI }) => !requestURI.includes('dryRun=All'))
      .filter(({ verb, objectRef }) => !/^(get|list|watch)$/.test(verb) && objectRef?.resource === 'secrets')
      .filter(({ responseStatus }) => (responseStatus?.code ?? 0) < 300)
      .map(({ verb, objectRef }) => `${verb} ${objectRef?.name}`)
      .toSorted()
  );
}

describe('concurrent syncs of the same configuration', () => {
  const COUNT = 12;

  it.each([[4, 2]])(
    'concurrent syncs leave one consistent state and a record for each change (%i parallel syncs, then %i)',
    expectConsistent,
  );
  it.each([[20, 6]])(
    'concurrent syncs leave one consistent state and a record for each change (%i parallel syncs, then %i)',
    { tags: ['long'] },
    expectConsistent,
  );

  async function expectConsistent(first: number, second: number): Promise<void> {
    await using bench = await openBench({ mappings: manyMappings(COUNT) });
    await seed(bench, COUNT);
    await using witness = await bench.witness();
    for (const [round, processes] of [first, second].entries()) {
      await seed(bench, COUNT, round);
      const reports = await Promise.all(Array.from({ length: processes }, () => bench.sync()));
      for (const { code, stderr, targets } of reports) {
        // A sync gives up a target after three conflicts with other syncs, and reports CONFLICT for the target.
        const codes = new Set(targets.map((target) => target.code ?? target.outcome));
        expect([0, 1], stderr).toContain(code);
        expect(['created', 'updated', 'unchanged', 'CONFLICT']).toEqual(expect.arrayContaining([...codes]));
      }
      expect(await wrongTargets(bench, COUNT, () => round)).toEqual([]);
    }
    const changes = await witness.changes();
    const records = await bench.records();
    expect(changes).toHaveLength(2 * COUNT);
    expect(recordedChanges(records).toSorted()).toEqual(
      changes.map(({ secret, resourceVersion }) => `${secret} ${resourceVersion}`).toSorted(),
    );
    expect(openIntents(records)).toEqual([]);
    // If the audit log of the API server is accessible, it must contain no other change by our account.
    const { auditLogPath } = kubernetes();
    if (auditLogPath !== undefined)
      expect(await writesBy(bench.user, auditLogPath)).toEqual(
        changes.map(({ type, secret }) => `${type === 'ADDED' ? 'create' : 'update'} ${secret}`).toSorted(),
      );
    expect(await bench.chain()).toMatchObject({ kind: 'intact', records: records.length });
  }
});
