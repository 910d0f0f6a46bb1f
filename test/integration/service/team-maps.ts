import { kubernetes } from '../services/inject.ts';
import { assertStatus } from '../services/kubernetes-api.ts';
import { openWorld, type World, type WorldOptions } from './world.ts';

export interface TeamMapping {
  readonly name: string;
  readonly key?: string;
  /** More fields, as YAML in one line each. */
  readonly more?: readonly string[];
}

/** A world with teams that keep their mappings in ConfigMaps. */
export interface TeamWorld extends World {
  /** Returns the text of `mappings.yaml` with mappings whose keys belong to this team. */
  mapText(short: string, ...mappings: readonly TeamMapping[]): string;
  /** Creates or replaces the ConfigMap of a team. */
  putMap(short: string, name: string, content: string | object, labels?: object): Promise<void>;
  removeMap(short: string, name: string): Promise<void>;
  labelMap(short: string, name: string, value: string | null): Promise<void>;
  map(short: string, name: string): Promise<Readonly<Record<string, unknown>> | undefined>;
}

const LABEL = 'secretbridge.dev/mappings';

export async function openTeamWorld(
  namespaces: readonly string[],
  {
    globs,
    statusAnnotation = false,
    ...options
  }: Partial<WorldOptions> & { readonly globs?: readonly string[]; readonly statusAnnotation?: boolean } = {},
): Promise<TeamWorld> {
  const world = await openWorld({
    namespaces,
    scope: 'namespace',
    config: ({ prefix, ns }) => `brake: { share: 1 }
include:
  - configMaps: { matchLabels: { ${LABEL}: ${ns('x')} } }
    namespaces: [ ${(globs ?? namespaces).map(ns).join(', ')} ]
    stores: [vault]
    keys: [ '${prefix}/{namespace}/**' ]
${statusAnnotation ? '    statusAnnotation: true\n' : ''}`,
    ...options,
  });
  const { request } = kubernetes();
  const at = (short: string, name = '') => `/api/v1/namespaces/${world.ns(short)}/configmaps/${name}`;
  const merge = { 'content-type': 'application/merge-patch+json' };
  return Object.assign(world, {
    mapText(short: string, ...mappings: readonly TeamMapping[]) {
      const list = mappings.map(({ name, key = 'db', more = [] }) => {
        const source = `{ store: vault, key: ${world.prefix}/${world.ns(short)}/${key}, property: a }`;
        const lines = [
          `  - name: ${name}`,
          ...more.map((line) => `    ${line}`),
          `    data: { A: ${source} }`,
        ];
        return `${lines.join('\n')}\n`;
      });
      return `mappings:\n${list.join('')}`;
    },
    async putMap(short: string, name: string, content: string | object, labels: object = {}) {
      const fields = typeof content === 'string' ? { data: { 'mappings.yaml': content } } : content;
      const metadata = { name, labels: { [LABEL]: world.ns('x'), ...labels } };
      const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata, ...fields };
      const created = await request('POST', at(short).slice(0, -1), body);
      if (created.status === 409) assertStatus(await request('PUT', at(short, name), body), 200, 'replace');
      else assertStatus(created, 201, 'create');
    },
    async removeMap(short: string, name: string) {
      assertStatus(await request('DELETE', at(short, name)), 200, 'delete');
    },
    async labelMap(short: string, name: string, value: string | null) {
      const patch = { metadata: { labels: { [LABEL]: value } } };
      assertStatus(await request('PATCH', at(short, name), patch, merge), 200, 'label');
    },
    async map(short: string, name: string) {
      const answer = await request<Readonly<Record<string, unknown>>>('GET', at(short, name));
      return answer.status === 200 ? answer.body : undefined;
    },
  });
}
