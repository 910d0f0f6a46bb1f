import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { AuditRecord } from '../../../src/audit/entry.ts';
import { kubernetes } from '../services/inject.ts';
import { assertStatus } from '../services/kubernetes-api.ts';
import { type Run, runInProcess, type SyncReport, syncReport } from './program.ts';

/** The preflight needs at least 20 targets. Tests change some targets, and enough unchanged ones must remain. */
export const COUNT = 64;
export const names = Array.from({ length: COUNT }, (_, n) => `m${n}`);

type Mapping = Record<string, unknown> & { readonly name: string };
type Configuration = Record<string, unknown> & {
  readonly stores: readonly Readonly<Record<string, unknown>>[];
  readonly mappings: readonly Mapping[];
};

/** A namespace with `COUNT` mappings. Each mapping reads one key, and all keys are in one store. */
export interface Scene extends AsyncDisposable {
  readonly namespace: string;
  readonly configuration: Configuration;
  configure(configuration: Record<string, unknown>): Promise<void>;
  run(...args: readonly string[]): Promise<Run>;
  sync(...args: readonly string[]): Promise<SyncReport>;
  /** Returns the planned outcome of each mapping. A plan reads every key. */
  plannedOutcomes(): Promise<ReadonlyMap<string, string>>;
  /** Changes a Secret as another writer. */
  patch(name: string, patch: object, type?: 'merge' | 'json'): Promise<void>;
  remove(name: string): Promise<void>;
  secretValue(name: string): Promise<string | undefined>;
  records(...filter: readonly string[]): Promise<readonly AuditRecord[]>;
}

/** @param store The store configuration without its name, which is `store`. */
export async function openScene(
  store: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string>>,
): Promise<Scene> {
  const cluster = kubernetes();
  const namespace = `apps-${randomBytes(4).toString('hex')}`;
  assertStatus(
    await cluster.request('POST', '/api/v1/namespaces', { metadata: { name: namespace } }),
    201,
    '',
  );
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-survey-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const configuration: Configuration = {
    apiVersion: 'secretbridge.dev/v1',
    instance: namespace,
    cluster: { kind: 'kubernetes', kubeconfig: cluster.kubeconfig, scope: 'namespace' },
    absence: { readings: 3, over: '1ms' },
    brake: { share: 1, window: '24h' },
    stores: [{ name: 'store', ...store }],
    mappings: names.map((name) => ({
      name,
      target: { namespace, labels: { team: 'blue' } },
      data: { VALUE: { store: 'store', key: name } },
    })),
  };
  const configure: Scene['configure'] = (change) =>
    writeFile(join(folder, 'secretbridge.yaml'), JSON.stringify({ ...configuration, ...change }));
  await configure({});
  const run: Scene['run'] = (...args) => runInProcess(args, { cwd: folder, env });
  const path = (name: string) => `/api/v1/namespaces/${namespace}/secrets/${name}`;
  const owned = stack.move();
  return {
    namespace,
    configuration,
    configure,
    run,
    sync: async (...args) => syncReport(await run('sync', '--output', 'json', ...args)),
    async plannedOutcomes() {
      const { stdout } = await run('plan', '--output', 'json');
      const { targets } = JSON.parse(stdout) as {
        targets: { mapping: string; action: string; code?: string }[];
      };
      return new Map(targets.map(({ mapping, action, code }) => [mapping, code ?? action]));
    },
    async patch(name, patch, type = 'merge') {
      const headers = { 'content-type': `application/${type}-patch+json` };
      assertStatus(await cluster.request('PATCH', path(name), patch, headers), 200, `patch of ${name}`);
    },
    async remove(name) {
      assertStatus(await cluster.request('DELETE', path(name)), 200, 'delete');
    },
    async secretValue(name) {
      const answer = await cluster.request<{ data?: { VALUE?: string } }>('GET', path(name));
      const value = answer.status === 200 ? answer.body.data?.VALUE : undefined;
      return value === undefined ? undefined : Buffer.from(value, 'base64').toString();
    },
    async records(...filter) {
      const { stdout } = await run('audit', 'list', '--limit', '1000', '--output', 'json', ...filter);
      return (JSON.parse(stdout) as { records: readonly AuditRecord[] }).records;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Returns the outcome of each mapping. */
export function outcomes({ targets }: SyncReport): ReadonlyMap<string, string> {
  return new Map(targets.map(({ mapping, outcome, code }) => [mapping, code ?? outcome]));
}

const DONE: Readonly<Record<string, string>> = { create: 'created', update: 'updated' };

/** Runs `plan` and `sync`, and expects the same outcome for each target. */
export async function expectAgreement(scene: Scene): Promise<ReadonlyMap<string, string>> {
  const planned = await scene.plannedOutcomes();
  const done = outcomes(await scene.sync());
  expect(Object.fromEntries(done)).toEqual(
    Object.fromEntries([...planned].map(([name, action]) => [name, DONE[action] ?? action])),
  );
  return done;
}
