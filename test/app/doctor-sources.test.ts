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

/** `<name>: ok` or its code, of what is read. */
const readsOf = (checks: readonly Check[]): readonly string[] =>
  checks.filter(({ name }) => /^(read|find) /.test(name)).map(({ name, code = 'ok' }) => `${name}: ${code}`);

const OTHERS = 'access: [ { namespaces: [apps], stores: [local], keys: [other.json, "flags/**"] } ]\n';
const SELECTED = `mappings:
  - name: db
    target: { namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: apps } } }
    data: { DB: { store: local, key: db.json }, OTHER: { store: local, key: other.json, optional: true } }
`;

describe('doctor, of targets that a selector chooses', () => {
  const READS = ['read store local, key db.json: NOT_ALLOWED', 'read store local, key other.json: ok'];

  it('reads nothing that no rule allows, while it chooses none', async () => {
    await using bench = await openBench(HEAD + OTHERS + SELECTED);
    expect(readsOf(await checksOf(bench))).toEqual(READS);
  });

  it('goes by the namespaces that it chooses', async () => {
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

describe('doctor, of a search', () => {
  it('runs it and reads what it finds', async () => {
    await using bench = await openBench(HEAD + FINDING);
    await bench.write('store/flags/a', '1');
    expect(readsOf(await checksOf(bench))).toEqual([
      'find store local, search below flags: ok',
      'read store local, key flags/a: ok',
    ]);
  });

  it('runs none that is not allowed, and reads no key that is not', async () => {
    const allowing = (keys: string) =>
      `access: [ { namespaces: [apps], stores: [local], keys: [${keys}] } ]\n`;
    await using bench = await openBench(`${HEAD}${allowing('flags/a')}${FINDING}`);
    await bench.write('store/flags/a', '1');
    // Whatever could make another key of it is no key that a rule allows.
    await bench.write('store/flags/%2e', '1');
    expect(readsOf(await checksOf(bench))).toEqual(['find store local, search below flags: NOT_ALLOWED']);
    await bench.write('secretbridge.yaml', `${HEAD}${allowing('flags/**')}${FINDING}`);
    expect(readsOf(await checksOf(bench))).toEqual([
      'find store local, search below flags: ok',
      'read store local, key flags/%2e: NOT_ALLOWED',
      'read store local, key flags/a: ok',
    ]);
  });

  it('says that it fails, names what it finds and may not read, and passes over what is deleted', async () => {
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

describe('doctor, of a cluster with credentials in it', () => {
  it("refuses a target in the bridge's own namespace, as `plan` and `sync` do", async () => {
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
      message: expect.stringContaining("(no mapping may target the bridge's own namespace)"),
      remedy: 'Set another namespace in the target of the mapping.',
    };
    expect((await checksOf(bench)).filter(({ ok }) => !ok)).toMatchObject([
      { name: 'target: write bridge/db (mapping db)', ...why },
      { name: 'read store local, key db.json', ...why },
    ]);
    for (const command of ['plan', 'sync'])
      expect((await bench.run(command, '--output', 'json')).json).toMatchObject({ targets: [why] });
    expect((await bench.run('audit', 'list', '--action', 'read')).stdout).toBe('No record matches.\n');
  });

  it('takes those of the audit from there', async () => {
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
    // Nothing listens there, which only who has the address can tell.
    const [audit] = await checksOf(bench);
    expect(audit).toMatchObject({ name: 'audit: write postgres', code: 'AUDIT_UNAVAILABLE' });
  });
});
