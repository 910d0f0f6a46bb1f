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

/** The sets of chart values that the tests use. The keys are the names of the sets. */
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

/** Renders the objects of a release `b` in the namespace `NAMESPACE`. */
export async function render(...args: readonly string[]): Promise<readonly Rendered[]> {
  const text = await helm('template', 'b', CHART, '--namespace', NAMESPACE, ...args);
  return parseAllDocuments(text).flatMap((document) => {
    const object = document.toJS() as Rendered | null;
    return object === null ? [] : [object];
  });
}

/** Renders one of the value sets as an upgrade, which includes every object of an installation. */
export function renderSet(name: string): Promise<readonly Rendered[]> {
  const path = VALUE_SETS.get(name);
  if (path === undefined) throw new Error(`no values ${name}`);
  const objects = sets.get(name) ?? render('--is-upgrade', '--values', path);
  sets.set(name, objects);
  return objects;
}

const sets = new Map<string, Promise<readonly Rendered[]>>();

/** Returns the error output of Helm, or an empty text when Helm succeeds. */
export async function renderError(...args: readonly string[]): Promise<string> {
  try {
    await render(...args);
  } catch (error) {
    if (error instanceof Error && 'stderr' in error) return String(error.stderr);
    throw error;
  }
  return '';
}

/**
 * Returns the files of the mounted configuration. The keys are file names. The files of tenants are separate from the
 * main folder.
 */
export function filesOf(objects: readonly Rendered[]): {
  readonly main: Readonly<Record<string, string>>;
  readonly tenants: Readonly<Record<string, string>>;
} {
  const maps = objects.filter(
    ({ kind, metadata }) =>
      kind === 'ConfigMap' && !isHook(metadata) && !metadata.name.endsWith('-dashboard'),
  );
  const dataOf = (isTenant: boolean) =>
    Object.assign(
      {},
      ...maps
        .filter(({ metadata }) => /-tenant-/.test(metadata.name) === isTenant)
        .map(({ data }) => data as Record<string, string>),
    ) as Record<string, string>;
  return { main: dataOf(false), tenants: dataOf(true) };
}

/**
 * Whether the object belongs to the checks that Helm hooks run before an installation or upgrade. The checks have a
 * separate copy of the configuration.
 */
export function isHook({ annotations }: Rendered['metadata']): boolean {
  return annotations?.['helm.sh/hook'] !== undefined;
}

export function findOne(objects: readonly Rendered[], kind: string, name?: string): Rendered {
  const matches = objects.filter(
    (object) => object.kind === kind && (name === undefined || object.metadata.name === name),
  );
  if (matches.length !== 1 || matches[0] === undefined)
    throw new Error(`there are ${matches.length} of ${kind} ${name ?? ''}`);
  return matches[0];
}

/** The fields of a pod template that the tests use. */
export interface Template {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly spec: {
    readonly serviceAccountName?: string;
    readonly containers: readonly {
      readonly command?: readonly string[];
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

/** Returns the pod template of a workload, or the pod itself. */
export function templateOf(workload: Rendered): Template {
  if (workload.kind === 'Pod') return workload as unknown as Template;
  return (workload.spec as { template: Template }).template;
}

/** Returns the Deployment of the bridge. The bundled Redis has a separate Deployment. */
export function bridgeOf(objects: readonly Rendered[]): Rendered {
  return findOne(
    objects.filter(({ metadata }) => metadata.labels?.['app.kubernetes.io/component'] === 'bridge'),
    'Deployment',
  );
}

const POD_KINDS = new Set(['Deployment', 'Job', 'Pod']);

export const podsOf = (objects: readonly Rendered[]): readonly Rendered[] =>
  objects.filter(({ kind }) => POD_KINDS.has(kind));

export const RBAC_KINDS = new Set(['Role', 'RoleBinding', 'ClusterRole', 'ClusterRoleBinding']);
export const CLUSTER_WIDE = new Set(['ClusterRole', 'ClusterRoleBinding']);

/**
 * Writes the rendered configuration to a folder with the structure of the pod's mount. Runs commands of the program on
 * this folder.
 */
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

/** Returns the rules and subjects of an RBAC object, to compare objects without their labels. */
export function grantOf({ kind, metadata, rules, roleRef, subjects }: Rendered) {
  return { kind, name: metadata.name, namespace: metadata.namespace, rules, roleRef, subjects };
}
