import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { openBench } from '../../cli/harness.ts';
import { installFromLayer } from '../services/kubectl-layer.ts';

export const CHART = join(import.meta.dirname, '../../../deploy/chart');
export const NAMESPACE = 'bridge-chart';

export interface Rendered {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** The sets of values that the chart is tried with, by name. */
export const VALUE_SETS: ReadonlyMap<string, string> = new Map(
  globSync(join(import.meta.dirname, 'values/*.yaml'))
    .sort()
    .map((path) => [basename(path, '.yaml'), path]),
);

const run = promisify(execFile);

export async function helm(...args: readonly string[]): Promise<string> {
  const { stdout } = await run(await installFromLayer('helm'), args, { maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

/** The objects of a release `b`, in a namespace of its own. */
export async function render(...args: readonly string[]): Promise<readonly Rendered[]> {
  const text = await helm('template', 'b', CHART, '--namespace', NAMESPACE, ...args);
  return parseAllDocuments(text).flatMap((document) => {
    const object = document.toJS() as Rendered | null;
    return object === null ? [] : [object];
  });
}

/** The same with one of the sets of values, as for an upgrade, which has every object that an installation has. */
export function renderSet(name: string): Promise<readonly Rendered[]> {
  const path = VALUE_SETS.get(name);
  if (path === undefined) throw new Error(`there are no values ${name}`);
  const made = sets.get(name) ?? render('--is-upgrade', '--values', path);
  sets.set(name, made);
  return made;
}

const sets = new Map<string, Promise<readonly Rendered[]>>();

/** What Helm says against it. */
export async function refusal(...args: readonly string[]): Promise<string> {
  try {
    await render(...args);
  } catch (error) {
    if (error instanceof Error && 'stderr' in error) return String(error.stderr);
    throw error;
  }
  return '';
}

/** Files of the mounted configuration by name: those of the main folder, and those of tenants. */
export function filesOf(objects: readonly Rendered[]): {
  readonly main: Readonly<Record<string, string>>;
  readonly tenants: Readonly<Record<string, string>>;
} {
  const maps = objects.filter(
    ({ kind, metadata }) =>
      kind === 'ConfigMap' && !isHook(metadata) && !metadata.name.endsWith('-dashboard'),
  );
  const of = (wanted: boolean) =>
    Object.assign(
      {},
      ...maps
        .filter(({ metadata }) => /-tenant-/.test(metadata.name) === wanted)
        .map(({ data }) => data as Record<string, string>),
    ) as Record<string, string>;
  return { main: of(false), tenants: of(true) };
}

/** Objects of the check before an installation, which has the configuration as well. */
export function isHook({ annotations }: Rendered['metadata']): boolean {
  return annotations?.['helm.sh/hook'] !== undefined;
}

export function one(objects: readonly Rendered[], kind: string, name?: string): Rendered {
  const found = objects.filter((it) => it.kind === kind && (name === undefined || it.metadata.name === name));
  if (found.length !== 1 || found[0] === undefined)
    throw new Error(`there are ${found.length} of ${kind} ${name ?? ''}`);
  return found[0];
}

/** What of a pod template the tests look at. */
export interface Template {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly spec: {
    readonly serviceAccountName?: string;
    readonly containers: readonly {
      readonly args?: readonly string[];
      readonly env?: readonly object[];
      readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
      readonly livenessProbe: { readonly httpGet: { readonly scheme: string } };
    }[];
    readonly volumes: readonly {
      readonly name: string;
      readonly projected?: { readonly sources: readonly object[] };
    }[];
    readonly topologySpreadConstraints?: readonly object[];
    readonly affinity?: object;
  };
}

/** Of a workload, or a pod itself. */
export function templateOf(workload: Rendered): Template {
  if (workload.kind === 'Pod') return workload as unknown as Template;
  return (workload.spec as { template: Template }).template;
}

/** The bridge, and not the bundled Redis. */
export function bridgeOf(objects: readonly Rendered[]): Rendered {
  return one(
    objects.filter(({ metadata }) => metadata.labels?.['app.kubernetes.io/component'] === 'bridge'),
    'Deployment',
  );
}

const POD_KINDS = new Set(['Deployment', 'Job', 'Pod']);

export const podsOf = (objects: readonly Rendered[]): readonly Rendered[] =>
  objects.filter(({ kind }) => POD_KINDS.has(kind));

export const RBAC_KINDS = new Set(['Role', 'RoleBinding', 'ClusterRole', 'ClusterRoleBinding']);
export const CLUSTER_WIDE = new Set(['ClusterRole', 'ClusterRoleBinding']);

/** The rendered configuration in a folder, as the pod has it, and the command line on it. */
export async function openRendered(objects: readonly Rendered[]) {
  const bench = await openBench();
  const { main, tenants } = filesOf(objects);
  const folder = join(bench.folder, 'etc/secretbridge');
  for (const [name, text] of Object.entries(main))
    await bench.write(
      `etc/secretbridge/${name}`,
      text.replaceAll('/etc/secretbridge-tenants', `${bench.folder}/tenants`),
    );
  for (const [name, text] of Object.entries(tenants)) await bench.write(`tenants/${name}`, text);
  return {
    ...bench,
    command: (...args: readonly string[]) => bench.run(...args, '--config', folder, '--output', 'json'),
  };
}

/** What it grants, and to whom: without labels. */
export function grantOf({ kind, metadata, rules, roleRef, subjects }: Rendered) {
  return { kind, name: metadata.name, namespace: metadata.namespace, rules, roleRef, subjects };
}
