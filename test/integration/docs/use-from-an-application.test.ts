import { execFile, spawn } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { ROOT } from '../../docs/markdown.ts';
import { markedBlock, openPageShell } from '../../docs/page-shell.ts';
import { base64 } from '../service/world.ts';
import { kubernetes } from '../services/inject.ts';
import { HELM_NOTE, installFromLayer, isHelmAvailable } from '../services/kubectl-layer.ts';
import { assertStatus } from '../services/kubernetes-api.ts';
import { findPython } from '../services/requirements.ts';
import { reportToStderr } from '../services/service.ts';
import { marksOf, shellProblems } from './page-blocks.ts';

const PAGE = 'docs/how-to/use-from-an-application.md';
const SERVICE = join(ROOT, 'examples/python-service');
const run = promisify(execFile);

/** The blocks of the page in the order in which the test runs them. Only `poke` needs pods. */
const BLOCKS = ['code', 'environment', 'files', 'poke', 'api', 'rights'];

const hmac = (key: string, message: string) => createHmac('sha256', key).update(message).digest('hex');

/** Starts the example service with the same command as its pod. */
async function startShop(env: Readonly<Record<string, string>>) {
  const python = await findPython(reportToStderr);
  const child = spawn(python, ['-B', '-m', 'shop.service'], {
    cwd: SERVICE,
    env: { PATH: process.env.PATH, HOST: '127.0.0.1', PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'close');
  let errorOutput = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errorOutput += text));
  const lines = createInterface({ input: child.stdout });
  const [line] = (await Promise.race([once(lines, 'line'), ended])) as [unknown];
  const port = /port (\d+)$/.exec(String(line))?.[1];
  const sendRequest = async (path: string, body?: string) => {
    const answer = await request(`http://127.0.0.1:${port}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      ...(body === undefined ? {} : { body }),
    });
    return (await answer.body.json()) as Record<string, unknown>;
  };
  return {
    /** Undefined when the process exits before it listens. */
    port,
    errorOutput: () => errorOutput,
    sign: async (message: string) => (await sendRequest('/sign', message)).signature,
    revision: async () => (await sendRequest('/revision')).revision,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

describe('the page about applications', () => {
  it('the page has only valid shell commands, and the tests run each of these commands', async () => {
    expect(await shellProblems(PAGE)).toEqual([]);
    expect(await marksOf(PAGE)).toEqual(BLOCKS);
  });

  it.skipIf(!isHelmAvailable)(
    `the page has valid manifests, and a Role for only one Secret${HELM_NOTE}`,
    async () => {
      const cluster = kubernetes();
      const namespace = `shop-${randomBytes(4).toString('hex')}`;
      await using shell = await openPageShell({ kubectl: await installFromLayer('kubectl') });
      await copyExample(shell.folder, namespace);
      const env = { KUBECONFIG: cluster.kubeconfig };
      const step = async (mark: string): Promise<string> => {
        const block = (await markedBlock(PAGE, mark))
          .replaceAll(/\bnamespace shop\b/g, `namespace ${namespace}`)
          .replaceAll('serviceaccount:shop:', `serviceaccount:${namespace}:`);
        const result = await shell.run(block, env);
        expect(result, mark).toMatchObject({ code: 0 });
        return result.stdout;
      };
      // The manifests comply with the strictest level of Pod Security.
      const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
      for (const mark of BLOCKS) {
        if (mark !== 'rights' && mark !== 'poke') await step(mark);
        if (mark === 'code')
          await cluster.request(
            'PATCH',
            `/api/v1/namespaces/${namespace}`,
            { metadata: { labels } },
            { 'content-type': 'application/merge-patch+json' },
          );
      }
      const apps = `/apis/apps/v1/namespaces/${namespace}/deployments`;
      for (const name of ['shop-environment', 'shop-files', 'shop-api']) {
        const { body } = await cluster.request<PodOwner>('GET', `${apps}/${name}`);
        await cluster.serviceAccountToken({
          namespace,
          name: body.spec.template.spec.serviceAccountName ?? 'default',
        });
        const pod = {
          metadata: { name, labels: body.spec.template.metadata.labels },
          spec: body.spec.template.spec,
        };
        assertStatus(await cluster.request('POST', `/api/v1/namespaces/${namespace}/pods`, pod), 201, name);
      }
      expect(await step('poke')).toContain('pod/shop-files annotated');
      await expect.poll(() => step('rights'), { timeout: 10_000 }).toBe('yes\nno\nno\n');
    },
  );

  it('the example service reads only its own Secret and follows changes', async () => {
    const cluster = kubernetes();
    const namespace = `shop-${randomBytes(4).toString('hex')}`;
    const folder = await mkdtemp(join(tmpdir(), 'secretbridge-shop-'));
    await using _ = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
    const token = await cluster.serviceAccountToken({ namespace, name: 'shop-api' });
    await writeFile(join(folder, 'token'), `${token}\n`, { mode: 0o600 });
    await copyFile(cluster.caFile, join(folder, 'ca.crt'));
    const secrets = `/api/v1/namespaces/${namespace}/secrets`;
    for (const name of ['shop-signing', 'payments-db']) {
      const body = { metadata: { name }, data: { 'signing-key': base64(`first-${name}`) } };
      assertStatus(await cluster.request('POST', secrets, body), 201, name);
    }
    const { hostname, port } = new URL(cluster.address);
    const env = {
      SECRET_FROM: 'api',
      SECRET_NAMESPACE: namespace,
      SECRET_NAME: 'shop-signing',
      SECRET_MAX_AGE: '0',
      KUBERNETES_SERVICE_HOST: hostname,
      KUBERNETES_SERVICE_PORT: port,
      SERVICE_ACCOUNT_DIRECTORY: folder,
    };
    {
      await using rejected = await startShop(env);
      expect(rejected.port).toBeUndefined();
      expect(rejected.errorOutput()).toBe(
        `shop: the API server answered 403 about ${namespace}/shop-signing\n`,
      );
    }

    for (const { kind, ...object } of await objectsOf('api.yaml', namespace)) {
      if (!/^Role/.test(kind)) continue;
      const path = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/${kind.toLowerCase()}s`;
      assertStatus(await cluster.request('POST', path, { kind, ...object }), 201, kind);
    }
    // The authorizer applies a new Role after a moment.
    await expect.poll(() => isAllowed(namespace), { timeout: 10_000 }).toBe(true);
    await using shop = await startShop(env);
    expect(await shop.sign('hello')).toBe(hmac('first-shop-signing', 'hello'));
    const revision = await shop.revision();
    const patch = { data: { 'signing-key': base64('second') } };
    const headers = { 'content-type': 'application/merge-patch+json' };
    assertStatus(await cluster.request('PATCH', `${secrets}/shop-signing`, patch, headers), 200, 'patch');
    expect(await shop.sign('hello')).toBe(hmac('second', 'hello'));
    expect(await shop.revision()).not.toBe(revision);

    await using other = await startShop({ ...env, SECRET_NAME: 'payments-db' });
    expect(other.port).toBeUndefined();
    expect(other.errorOutput()).toBe(`shop: the API server answered 403 about ${namespace}/payments-db\n`);
  });

  it('the example service rejects an API server with an unknown certificate', async () => {
    const cluster = kubernetes();
    const folder = await mkdtemp(join(tmpdir(), 'secretbridge-shop-'));
    await using _ = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
    await writeFile(join(folder, 'token'), 'a-token\n');
    const openssl = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const files = ['-keyout', join(folder, 'key'), '-out', join(folder, 'ca.crt')];
    await run('openssl', [...openssl, ...files, '-subj', '/CN=another', '-days', '1']);
    const { hostname, port } = new URL(cluster.address);
    await using shop = await startShop({
      SECRET_FROM: 'api',
      SECRET_NAMESPACE: 'default',
      SECRET_NAME: 'shop-signing',
      KUBERNETES_SERVICE_HOST: hostname,
      KUBERNETES_SERVICE_PORT: port,
      SERVICE_ACCOUNT_DIRECTORY: folder,
    });
    expect(shop.port).toBeUndefined();
    expect(shop.errorOutput()).toBe('shop: the API server did not answer about default/shop-signing\n');
  });
});

interface PodOwner {
  readonly spec: {
    readonly template: {
      readonly metadata: { readonly labels: object };
      readonly spec: { readonly serviceAccountName?: string };
    };
  };
}

async function isAllowed(namespace: string): Promise<boolean> {
  const answer = await kubernetes().request<{ status: { allowed: boolean } }>(
    'POST',
    '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    {
      spec: {
        user: `system:serviceaccount:${namespace}:shop-api`,
        resourceAttributes: { namespace, verb: 'get', resource: 'secrets', name: 'shop-signing' },
      },
    },
  );
  return answer.body.status.allowed;
}

interface Manifest {
  readonly kind: string;
}

async function objectsOf(file: string, namespace: string): Promise<readonly Manifest[]> {
  const text = await readFile(join(SERVICE, 'manifests', file), 'utf8');
  const manifest = text.replaceAll('namespace: shop', `namespace: ${namespace}`);
  return parseAllDocuments(manifest).map((document) => document.toJS() as Manifest);
}

/** Copies each file that the page mentions to its path in a checkout of the repository. */
async function copyExample(folder: string, namespace: string): Promise<void> {
  const to = join(folder, 'examples/python-service');
  for (const part of ['shop', 'manifests']) {
    await mkdir(join(to, part), { recursive: true });
    for (const name of await readdir(join(SERVICE, part))) {
      if (!/\.(py|yaml)$/.test(name)) continue;
      const text = await readFile(join(SERVICE, part, name), 'utf8');
      await writeFile(
        join(to, part, name),
        text.replaceAll('namespace: shop }', `namespace: ${namespace} }`),
      );
    }
  }
}
