import { stringify } from 'yaml';
import { kubernetes } from '../integration/services/inject.ts';
import { assertStatus } from '../integration/services/kubernetes-api.ts';
import type { Apply } from './apply-times.ts';
import { type Game, LABELS, type LabelKind, type Team } from './game.ts';
import type { ModelSource, Texts } from './model.ts';

/** A mapping that the game writes. */
export interface Draft {
  readonly name: string;
  readonly secret?: string;
  readonly namespace?: string;
  readonly sources: Readonly<Record<string, ModelSource>>;
  readonly onMappingRemoved: 'keep' | 'delete';
}

/** A ConfigMap that the game plays with. */
export interface GameMap {
  readonly team: Team;
  readonly name: string;
  /** The last drafts without a mistake. */
  drafts: readonly Draft[];
  label: LabelKind;
  /** What the game did last. `fine`: valid, and all of its mappings can be written. */
  condition: 'absent' | 'fine' | 'wrong' | 'unselected';
  /** Whether an action on it is in progress. */
  isBusy: boolean;
  /** Whether the time from an apply to the Secret is measured. */
  isMeasured: boolean;
  lastApply: Apply | undefined;
  /** How often the game edited a Secret of it by hand. */
  edits: number;
}

export function textOf(drafts: readonly Draft[]): string {
  const mappings = drafts.map(({ name, secret, namespace, sources, onMappingRemoved }) => {
    const target = { secret, namespace };
    const hasTarget = secret !== undefined || namespace !== undefined;
    return { name, ...(hasTarget ? { target } : {}), data: sources, onMappingRemoved };
  });
  return stringify({ mappings }, { aliasDuplicateObjects: false, keepUndefined: false });
}

interface MapFields {
  readonly data?: Texts;
  readonly binaryData?: Texts;
}

const run = ({ world }: Game) => world.ns('x');
const pathOf = ({ team, name }: GameMap) => `/api/v1/namespaces/${team.namespace}/configmaps/${name}`;

/** Creates or replaces the ConfigMap. Resolves when the API server has answered. */
export async function write(game: Game, map: GameMap, fields: MapFields): Promise<void> {
  replaced(map);
  const { request } = kubernetes();
  const path = pathOf(map);
  const metadata = { name: map.name, labels: LABELS[map.label](run(game)) };
  const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata, ...fields };
  const answer = await request('PUT', path, body);
  // The API server creates no ConfigMap with a PUT.
  if (answer.status !== 404) return assertStatus(answer, 200, 'replace a ConfigMap');
  const folder = path.slice(0, path.lastIndexOf('/'));
  assertStatus(await request('POST', folder, body), 201, 'create a ConfigMap');
}

/** Writes drafts without a mistake, and notes when their Secret should appear. */
export async function apply(
  game: Game,
  map: GameMap,
  drafts: readonly Draft[],
  applies: Apply[],
): Promise<void> {
  map.drafts = drafts;
  map.condition = 'fine';
  await write(game, map, { data: { 'mappings.yaml': textOf(drafts) } });
  const at = Date.now();
  const [draft] = drafts;
  const key = Object.keys(draft?.sources ?? {}).find((name) => name.startsWith('NEW_'));
  // A Secret with a key that is missing at times may have to wait.
  const isSteady = drafts.every(({ sources }) => sources.FLIP === undefined);
  if (draft === undefined || key === undefined || !isSteady || !map.isMeasured) return;
  const stores = [...new Set(Object.values(draft.sources).map(({ store }) => store))];
  map.lastApply = { target: `${map.team.namespace}/${draft.secret ?? draft.name}`, key, stores, at };
  applies.push(map.lastApply);
}

export async function remove(map: GameMap): Promise<void> {
  replaced(map);
  map.condition = 'absent';
  assertStatus(await kubernetes().request('DELETE', pathOf(map)), 200, 'delete a ConfigMap');
}

/** Replaces all labels of the ConfigMap. */
export async function relabel(game: Game, map: GameMap, label: LabelKind): Promise<void> {
  replaced(map);
  map.label = label;
  const patch = [{ op: 'add', path: '/metadata/labels', value: LABELS[label](run(game)) }];
  const headers = { 'content-type': 'application/json-patch+json' };
  assertStatus(await kubernetes().request('PATCH', pathOf(map), patch, headers), 200, 'label a ConfigMap');
}

function replaced(map: GameMap): void {
  if (map.lastApply !== undefined) map.lastApply.replacedAt ??= Date.now();
}
