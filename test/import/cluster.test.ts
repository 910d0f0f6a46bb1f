import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { openBench } from '../cli/harness.ts';
import { type ApiServer, json, startApiServer, status } from '../cluster/api-server.ts';

const LONG = 'fX9-2kQ_vT7mZ4-bR8w';
const OTHER = 'Qm4z-88Lw_ppR2-xTkk';
const UNKNOWN = 'Zz0-11Ab_ccD3-eFgg7';

interface Item {
  readonly name: string;
  readonly data: Readonly<Record<string, string>>;
  readonly metadata?: object;
  readonly type?: string;
}

function secrets(...items: readonly Item[]): object {
  return {
    kind: 'SecretList',
    apiVersion: 'v1',
    metadata: { resourceVersion: '9' },
    items: items.map(({ name, data, metadata = {}, type = 'Opaque' }) => ({
      metadata: { name, namespace: 'shop', uid: name, resourceVersion: '7', ...metadata },
      type,
      data: Object.fromEntries(
        Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
      ),
    })),
  };
}

/** Runs `import cluster` with a store of files, and with a cluster that has these Secrets. */
async function compared(api: ApiServer, files: Readonly<Record<string, string>>, ...args: readonly string[]) {
  await using bench = await openBench();
  for (const [path, text] of Object.entries(files)) await bench.write(`store/${path}`, text);
  return await bench.run(
    ...['import', 'cluster', '--store', 'local', '--namespace', 'shop', '--kubeconfig', api.kubeconfig],
    ...args,
  );
}

describe('import cluster', () => {
  it('`import cluster` proposes a mapping for a Secret whose keys are all in the store, and prints no value', async () => {
    await using api = await startApiServer();
    api.answer(json(200, secrets({ name: 'db', data: { PASSWORD: LONG, token: OTHER } })));
    const files = { 'app.json': JSON.stringify({ PASSWORD: LONG }), token: OTHER };
    const { stdout, stderr, code } = await compared(api, files);
    expect(code).toBe(0);
    expect(parse(stdout)).toEqual({
      apiVersion: 'secretbridge.dev/v1',
      mappings: [
        {
          name: 'shop.db',
          target: { namespace: 'shop', secret: 'db' },
          data: {
            PASSWORD: { store: 'local', key: 'app.json', property: 'PASSWORD' },
            token: { store: 'local', key: 'token' },
          },
          onConflict: 'adopt',
        },
      ],
    });
    for (const value of [LONG, OTHER]) expect(stdout + stderr).not.toContain(value);
    expect(api.seen.map(({ method }) => method)).not.toContain('PATCH');
  });

  it('`import cluster` comments a Secret with an unknown key or with an owner, and lists a Secret without any match', async () => {
    await using api = await startApiServer();
    const ownerReferences = [{ apiVersion: 'v1', kind: 'ExternalSecret', name: 'x', uid: 'x' }];
    api.answer(
      json(
        200,
        secrets(
          { name: 'partly', data: { PASSWORD: LONG, other: UNKNOWN, debug: 'true' } },
          { name: 'owned', data: { PASSWORD: LONG }, metadata: { ownerReferences } },
          { name: 'unrelated', data: { other: UNKNOWN } },
          {
            name: 'ours',
            data: { PASSWORD: LONG },
            metadata: { labels: { 'secretbridge.dev/mapping': 'm' } },
          },
          { name: 'helm', data: { release: LONG }, type: 'helm.sh/release.v1' },
        ),
      ),
    );
    const files = { password: LONG, 'flags.json': JSON.stringify({ debug: 'true' }) };
    const { stdout, stderr, code } = await compared(api, files);
    expect(code).toBe(4);
    expect(parse(stdout)).toEqual({ apiVersion: 'secretbridge.dev/v1' });
    expect(stdout).toMatch(/# Incomplete, so not active: Secret shop\/partly/);
    expect(stderr).toContain('data.other: no key of the store local that was read has this value');
    expect(stderr).toContain('data.debug: the value is short or common, so equal values prove nothing');
    expect(stderr).toContain('ExternalSecret x owns the Secret, and may write it again');
    expect(stderr).toMatch(/Secrets without a value from the store:\n {2}Secret shop\/unrelated\n/);
    expect(stderr).not.toMatch(/shop\/(ours|helm)/);
    for (const value of [LONG, UNKNOWN]) expect(stdout + stderr).not.toContain(value);
  });

  it('`import cluster` lists several places of a value by name only', async () => {
    await using api = await startApiServer();
    api.answer(json(200, secrets({ name: 'db', data: { A: OTHER, PASSWORD: LONG } })));
    const files = { one: LONG, two: LONG, a: OTHER };
    const { stdout, stderr } = await compared(api, files);
    expect(stderr).toContain('data.PASSWORD: several places of the store have this value: `one`, `two`');
    expect(stdout + stderr).not.toContain(LONG);
  });

  it('`import cluster` reports a namespace that it is not allowed to read, and keys of the store that it cannot read', async () => {
    await using api = await startApiServer();
    api.answer(
      json(403, status(403, 'Forbidden', {}, 'secrets is forbidden: User "x" cannot list resource')),
    );
    const { stderr, code } = await compared(api, {}, '--output', 'human');
    expect(code).toBe(4);
    expect(stderr).toContain('no permission to list Secrets in namespace shop');
  });

  it('`import cluster` prints one JSON object without a value', async () => {
    await using api = await startApiServer();
    api.answer(json(200, secrets({ name: 'db', data: { PASSWORD: LONG } })));
    const { json: result, stdout } = await compared(api, { password: LONG }, '--output', 'json');
    expect(result).toMatchObject({ objects: [{ kind: 'Secret', name: 'db', outcome: 'carried' }] });
    expect(stdout).not.toContain(LONG);
  });
});
