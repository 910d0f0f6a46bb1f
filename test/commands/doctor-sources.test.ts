import { describe, expect, it } from 'vitest';
import { openBridgeBench } from '../cli/hand-edit-bench.ts';
import { type Bench, HEAD, openBench } from '../cli/harness.ts';
import { startApiServer } from '../cluster/api-server.ts';
import { startVaultServer } from '../fakes/vault-server.ts';

interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly code?: string;
  readonly message?: string;
  readonly remedy?: string;
}

async function checksOf(bench: Bench, env: Readonly<Record<string, string>> = {}): Promise<readonly Check[]> {
  const { json: printed } = await bench.runWith({ env }, 'doctor', '--output', 'json');
  return (printed as { checks: readonly Check[] }).checks;
}

/** Returns the results of the read checks, as `<name>: ok` or `<name>: <code>`. */
const readsOf = (checks: readonly Check[]): readonly string[] =>
  checks.filter(({ name }) => /^(read|find) /.test(name)).map(({ name, code = 'ok' }) => `${name}: ${code}`);

const OTHERS = 'access: [ { namespaces: [apps], stores: [local], keys: [other.json, "flags/**"] } ]\n';
const SELECTED = `mappings:
  - name: db
    target: { namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: apps } } }
    data: { DB: { store: local, key: db.json }, OTHER: { store: local, key: other.json, optional: true } }
`;

describe('doctor with namespace selectors', () => {
  const READS = ['read store local, key db.json: NOT_ALLOWED', 'read store local, key other.json: ok'];

  it('`doctor` reads only the keys that access rules allow if the selector matches no namespace', async () => {
    await using bench = await openBench(HEAD + OTHERS + SELECTED);
    expect(readsOf(await checksOf(bench))).toEqual(READS);
  });

  it('`doctor` applies the rules of the selected namespaces', async () => {
    await using bench = await openBench(HEAD + OTHERS + SELECTED);
    await bench.write('cluster/apps/.keep', '');
    expect(readsOf(await checksOf(bench))).toEqual(READS);
    const elsewhere = OTHERS.replace('namespaces: [apps]', 'namespaces: [elsewhere]');
    await bench.write('secretbridge.yaml', HEAD + elsewhere + SELECTED);
    expect(readsOf(await checksOf(bench))).toEqual(READS.map((line) => line.replace(/ok$/, 'NOT_ALLOWED')));
  });
});

const FINDING = `mappings:
  - name: flags
    target: { namespace: apps }
    dataFrom: [ { store: local, find: { path: flags } } ]
`;

describe('doctor with a search', () => {
  it('`doctor` fails if a search finds nothing, and warns if the mapping has other keys', async () => {
    const name = 'find store local, search below flags';
    await using bench = await openBench(HEAD + FINDING);
    await bench.write('store/flags/.keep', '');
    expect(readsOf(await checksOf(bench))).toEqual([`${name}: SOURCE_ABSENT`]);
    const other = FINDING.replace('dataFrom', 'data: { A: { store: local, key: a } }\n    dataFrom');
    await bench.write('secretbridge.yaml', HEAD + other);
    await bench.write('store/a', '1');
    const warning = { code: 'SOURCE_ABSENT', mapping: 'flags', namespace: 'apps', secret: 'flags' };
    const { code, json } = await bench.runWith({}, 'doctor', '--output', 'json');
    expect([code, json]).toMatchObject([0, { ok: true, warnings: [warning] }]);
    const { json: plan } = await bench.run('plan', '--output', 'json');
    expect(plan).toMatchObject({ warnings: [warning] });
    const { json: sync } = await bench.run('sync', '--output', 'json');
    expect(sync).toMatchObject({ ok: true, warnings: [warning] });
    const optional = FINDING.replace('find:', 'optional: true, find:');
    await bench.write('secretbridge.yaml', HEAD + optional);
    expect(readsOf(await checksOf(bench))).toEqual([`${name}: ok`]);
  });

  it('`doctor` runs the search and reads its results', async () => {
    await using bench = await openBench(HEAD + FINDING);
    await bench.write('store/flags/a', '1');
    expect(readsOf(await checksOf(bench))).toEqual([
      'find store local, search below flags: ok',
      'read store local, key flags/a: ok',
    ]);
  });

  it('`doctor` skips searches and keys that the access rules do not allow', async () => {
    const allowing = (keys: string) =>
      `access: [ { namespaces: [apps], stores: [local], keys: [${keys}] } ]\n`;
    await using bench = await openBench(`${HEAD}${allowing('flags/a')}${FINDING}`);
    await bench.write('store/flags/a', '1');
    // A key that a store could normalize to another key matches no rule.
    await bench.write('store/flags/%2e', '1');
    expect(readsOf(await checksOf(bench))).toEqual(['find store local, search below flags: NOT_ALLOWED']);
    await bench.write('secretbridge.yaml', `${HEAD}${allowing('flags/**')}${FINDING}`);
    expect(readsOf(await checksOf(bench))).toEqual([
      'find store local, search below flags: ok',
      'read store local, key flags/%2e: NOT_ALLOWED',
      'read store local, key flags/a: ok',
    ]);
  });

  it('`doctor` reports failed searches and unreadable results, and skips deleted keys', async () => {
    await using server = await startVaultServer();
    server.put('secret', 'flags/a', '{"x":"1"}');
    server.put('secret', 'flags/b', '{"x":"1"}');
    server.put('secret', 'flags/c', '{"x":"1"}');
    server.remove('secret', 'flags/c', 'delete');
    const store = `{ name: local, kind: vault, address: '${server.address}', auth: { method: token, token: { env: TOKEN } } }`;
    await using bench = await openBench(HEAD.replace(/stores.*\n/, `stores: [ ${store} ]\n`) + FINDING);
    bench.clock.set(Date.now());
    const env = { TOKEN: server.rootToken };
    server.deny(/data\/flags\/b/);
    expect(readsOf(await checksOf(bench, env))).toEqual([
      'find store local, search below flags: ok',
      'read store local, key flags/a: ok',
      'read store local, key flags/b: ACCESS_DENIED',
    ]);
    server.deny(/metadata\/flags/);
    expect(readsOf(await checksOf(bench, env))).toEqual([
      'find store local, search below flags: ACCESS_DENIED',
    ]);
  });
});

describe('doctor with credentials in the cluster', () => {
  it('`doctor` refuses a target in the namespace of secretbridge itself, as `plan` and `sync` do', async () => {
    await using api = await startApiServer();
    await using bench = await openBridgeBench(
      api,
      `http: { tokens: [ { name: ann, role: viewer, token: { secretRef: { name: t, key: k } } } ] }
mappings:
  - name: db
    target: { namespace: bridge }
    data: { DB: { store: local, key: db.json } }
`,
    );
    const why = {
      code: 'NOT_ALLOWED',
      message: expect.stringContaining("(no mapping may target secretbridge's own namespace)"),
      remedy: 'Set another namespace in the target of the mapping.',
    };
    const about = { mapping: 'db', namespace: 'bridge', secret: 'db' };
    expect((await checksOf(bench)).filter(({ ok }) => !ok)).toMatchObject([
      { name: 'target: write bridge/db (mapping db)', ...why, ...about },
      { name: 'read store local, key db.json', ...why },
      { name: 'target: sync bridge/db (mapping db)', ...why, ...about },
    ]);
    for (const command of ['plan', 'sync'])
      expect((await bench.run(command, '--output', 'json')).json).toMatchObject({ targets: [why] });
    expect((await bench.run('audit', 'list', '--action', 'read')).stdout).toBe('No record matches.\n');
  });

  it('`doctor` reads the audit credentials from the cluster', async () => {
    await using api = await startApiServer();
    const url = Buffer.from('postgres://ann@127.0.0.1:1/audit').toString('base64');
    await using bench = await openBridgeBench(
      api,
      `audit: { store: { kind: postgres, url: { secretRef: { name: db, key: url } } } }
keys: { fingerprint: [ { file: ./f.key } ], checkpoint: { file: ./c.key } }
mappings: []
`,
      { db: { url } },
    );
    // The address has no listener, so a connection error proves that the command has read the address.
    const [audit] = await checksOf(bench);
    expect(audit).toMatchObject({ name: 'audit: write postgres', code: 'AUDIT_UNAVAILABLE' });
  });
});
