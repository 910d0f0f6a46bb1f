import { expect, it } from 'vitest';
import type { StoredRecord } from '../../src/audit/chain.ts';
import { syncAnswer } from '../../src/commands/serve/answers.ts';
import { AppError } from '../../src/core/errors.ts';
import { RUN_OUTCOMES } from '../../src/core/target.ts';
import type { Outcome } from '../../src/reconcile/outcome.ts';
import { bare, entry } from '../audit/sample.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { startTestServer, type TestServer, TOKENS } from './harness.ts';

interface Schema {
  readonly type?: string;
  readonly $ref?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly enum?: readonly string[];
}

interface Response {
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>;
}

interface Operation {
  readonly responses: Readonly<Record<string, Response>>;
  readonly requestBody?: { readonly required: boolean };
  readonly security?: readonly object[];
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

async function described(api: TestServer): Promise<Document> {
  return (await api.get('/api/openapi.json')).json as unknown as Document;
}

it('the API description lists 409 for operations that can require a person to act first', async () => {
  const release = async () => {
    throw new AppError('NOT_OWNED');
  };
  await using api = await startTestServer({ service: { release } });
  await api.audit.append([entry(), bare({ action: 'review', review: { sequence: 1, state: 'reviewed' } })]);
  const headers = { 'content-type': 'application/json' };
  const orders = [
    ['/api/v1/audit/records/{sequence}/review', { headers, body: '{"state":"reviewed"}' }],
    ['/api/v1/held/{id}/release', {}],
  ] as const;
  const { paths } = await described(api);
  for (const [path, options] of orders) {
    const url = path.replace('{sequence}', '2').replace('{id}', '5f2c');
    const { status } = await api.call('POST', url, { ...options, token: TOKENS.operator });
    expect(status).toBe(409);
    expect(Object.keys(paths[path]?.post?.responses ?? {})).toContain('409');
  }
});

it('the API description contains every schema that it refers to, and refers to every schema', async () => {
  // The routes of the sign-in exist only with a provider.
  const signIn = () => {
    throw new Error('this test calls no route of the sign-in');
  };
  await using api = await startTestServer({ signIn });
  const document = await described(api);
  const references = JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g);
  const names = [...references].map(([, name = '']) => name.replace('#/components/schemas/', ''));
  expect([...new Set(names)].sort()).toEqual(Object.keys(document.components.schemas).sort());
});

it('the API description contains the members of each target in a sync response', async () => {
  const outcome: Outcome = {
    kind: 'failed',
    mapping: 'db',
    target: { namespace: 'apps', secret: 'db' },
    keys: [{ name: 'A', action: 'add' }],
    alive: false,
    error: new AppError('TIMEOUT'),
  };
  const summary = { created: 0, updated: 0, deleted: 0, unchanged: 0, refused: 0, held: 0, failed: 1 };
  const others = { held: [], unseen: [], waiting: [], unrestarted: [], interrupted: false };
  const report = { ok: false, requestId: 'r', summary, targets: [outcome], ...others };
  const { targets } = syncAnswer(report, []);
  await using api = await startTestServer();
  const { schemas } = (await described(api)).components;
  expect(schemas.SyncAnswer?.properties?.targets?.items?.$ref).toBe('#/components/schemas/RunTarget');
  const { required = [], properties = {} } = schemas.RunTarget ?? {};
  expect(Object.keys(properties)).toEqual(expect.arrayContaining(Object.keys(targets[0] ?? {})));
  expect(Object.keys(targets[0] ?? {})).toEqual(expect.arrayContaining([...required]));
  expect(properties.outcome?.enum?.toSorted()).toEqual(RUN_OUTCOMES.toSorted());
  const problem = { file: 'a.yaml', line: 1, column: 1, path: 'a', code: '', message: '', suggestion: '' };
  expect(Object.keys(schemas.Problem?.properties ?? {})).toEqual(Object.keys(problem));
});

it('the API description marks a member of a verification result as optional if it may be missing', async () => {
  const audit = createMemoryAudit();
  await audit.append([bare(), bare(), bare()]);
  const cut = Object.assign(Object.create(audit), {
    async *storedRecords(from: number): AsyncGenerator<StoredRecord> {
      for await (const record of audit.storedRecords(from + 1)) yield record;
    },
  });
  await using api = await startTestServer({ audit: cut });
  const { json } = await api.get('/api/v1/audit/verify');
  expect(json).toMatchObject({ ok: false, problem: { kind: 'deleted', sequence: 1 } });
  const { Damage, Verification } = (await described(api)).components.schemas;
  expect(Object.keys(json.problem as object)).toEqual(expect.arrayContaining([...(Damage?.required ?? [])]));
  expect(Object.keys(json)).toEqual(expect.arrayContaining([...(Verification?.required ?? [])]));
});

it.each([
  ['/metrics', '/metrics', 'string'],
  ['/api/v1/audit/export', '/api/v1/audit/export?format=jsonl', 'string'],
  ['/api/v1/audit/export', '/api/v1/audit/export?format=csv', 'string'],
  ['/api/v1/audit/export', '/api/v1/audit/export?format=ocsf', 'string'],
  ['/api/openapi.json', '/api/openapi.json', 'object'],
] as const)('the API description contains the media type of %s as %s', async (path, url, type) => {
  await using api = await startTestServer();
  await api.audit.append([bare()]);
  const { headers } = await api.get(url);
  const [media = ''] = String(headers['content-type']).split(';');
  const content = (await described(api)).paths[path]?.get?.responses['200']?.content ?? {};
  expect(Object.keys(content)).toContain(media);
  expect(content[media]?.schema.type).toBe(type);
});

it('the API description contains the error schema for the default response of every operation', async () => {
  await using api = await startTestServer({}, { requests: 1 });
  const { paths } = await described(api);
  expect((await api.get('/api/v1/status')).status).toBe(429);
  for (const methods of Object.values(paths))
    for (const { responses } of Object.values(methods))
      expect(responses.default?.content?.['application/json']?.schema.$ref).toBe(
        '#/components/schemas/Error',
      );
});

it('the API description requires a body exactly for the routes that reject requests without a body', async () => {
  await using api = await startTestServer();
  await api.audit.append([bare()]);
  const { paths } = await described(api);
  const orders = Object.entries(paths).flatMap(([path, { post }]) =>
    post === undefined || path.startsWith('/events/') ? [] : [{ path, needed: post.requestBody?.required }],
  );
  for (const { path, needed } of orders) {
    const url = path.replace('{name}', 'db').replace('{id}', '5f2c').replace('{sequence}', '1');
    const { status } = await api.call('POST', url, { token: TOKENS.operator });
    expect({ path, needed }).toEqual({ path, needed: status === 400 });
  }
  expect(new Set(orders.map(({ needed }) => needed))).toEqual(new Set([true, false]));
});

it.each([true, false])(
  'the API description states whether the metrics route requires a token: %s',
  async (metricsNeedToken) => {
    await using api = await startTestServer({ config: { metricsNeedToken } });
    const { status } = await api.call('GET', '/metrics');
    const { security } = (await described(api)).paths['/metrics']?.get ?? {};
    expect([status, security]).toEqual(metricsNeedToken ? [401, [{ bearer: [] }]] : [200, undefined]);
  },
);
