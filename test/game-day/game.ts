import { stringify } from 'yaml';
import { type FaultProxy, startFaultProxy } from '../fakes/fault-proxy.ts';
import type { ServiceProcess } from '../integration/service/service-process.ts';
import { openTcpGate, type TcpGate } from '../integration/service/tcp-gate.ts';
import { openWorld, type World } from '../integration/service/world.ts';
import { kubernetes, openbao } from '../integration/services/inject.ts';
import { assertStatus } from '../integration/services/kubernetes-api.ts';
import { type Marker, textMarker } from '../leak-search.ts';
import type { Outage } from './apply-times.ts';
import type { Contents, Rules, Texts } from './model.ts';
import type { GameOptions } from './options.ts';
import { startWitness, type Witness } from './watch.ts';

/** A team with a namespace of its own. */
export interface Team {
  /** The short name of the namespace. Those with `b-` are selected by a pattern, and may use both stores. */
  readonly short: string;
  readonly namespace: string;
}

export const STORES = ['vault', 'second'] as const;
export type StoreName = (typeof STORES)[number];

/** The keys of each team. `flip` is missing at times, and only other teams ever name `vip`. */
export const KEYS = ['db', 'api', 'flip', 'vip'] as const;
export const PROPERTIES = ['a', 'b'] as const;

/** A Secret in each namespace that the service does not own. */
export const PRIVATE = 'private';

/** One way to the real store, with faults. */
export interface StoreRoute {
  readonly proxy: FaultProxy;
  readonly gate: TcpGate;
}

export interface Game extends AsyncDisposable {
  readonly options: GameOptions;
  readonly world: World;
  readonly teams: readonly Team[];
  readonly rules: Rules;
  readonly witness: Witness;
  readonly routes: Readonly<Record<StoreName, StoreRoute>>;
  /** A part of each value. */
  readonly marker: Marker;
  readonly outages: Outage[];
  /** The logs of the processes that have ended. */
  readonly logs: string[];
  /** How the service ended by itself. */
  readonly exits: string[];
  /** The service that runs now. Undefined while it is down. */
  served: ServiceProcess | undefined;
  serviceTimes: { readonly startedAt: number; readonly readyAt: number };
  /** Writes new values of a key. */
  put(team: Team, key: string): Promise<void>;
  /** Removes a key with all of its versions. */
  removeKey(team: Team, key: string): Promise<void>;
  /** The key of a team as mappings name it. */
  keyOf(team: Team, key: string): string;
  /** Reads the store, bypassing the proxies. */
  contents(): Promise<Contents>;
  start(): Promise<void>;
}

/** The labels of a ConfigMap, by what selects it. */
export const LABELS = {
  /** The first entry of `include`. */
  plain: (run: string): Texts => ({ 'game.test/team': run }),
  /** The second entry. Only the teams with `b-` have it. */
  gold: (run: string): Texts => ({ 'game.test/tier': 'gold', 'game.test/run': run }),
  silver: (run: string): Texts => ({ 'game.test/tier': 'silver', 'game.test/run': run }),
  /** Both entries, so the first one applies. */
  both: (run: string): Texts => ({ ...LABELS.plain(run), ...LABELS.gold(run) }),
  /** No entry. */
  none: (): Texts => ({}),
  other: (run: string): Texts => ({ 'game.test/team': `not-${run}` }),
  bronze: (run: string): Texts => ({ 'game.test/tier': 'bronze', 'game.test/run': run }),
  off: (run: string): Texts => ({ ...LABELS.gold(run), 'game.test/off': 'yes' }),
} as const;
export type LabelKind = keyof typeof LABELS;

function entriesOf(run: string) {
  const plain = { matchLabels: LABELS.plain(run) };
  const matchExpressions = [
    { key: 'game.test/tier', operator: 'In' as const, values: ['gold', 'silver'] },
    { key: 'game.test/run', operator: 'In' as const, values: [run] },
    { key: 'game.test/off', operator: 'DoesNotExist' as const },
  ];
  return { plain, tiers: { matchExpressions } };
}

export async function openGame(options: GameOptions): Promise<Game> {
  await using stack = new AsyncDisposableStack();
  const openRoute = async (): Promise<StoreRoute> => {
    const proxy = stack.use(await startFaultProxy(openbao().address));
    return { proxy, gate: stack.use(await openTcpGate(proxy.address)) };
  };
  const routes = { vault: await openRoute(), second: await openRoute() };
  const shorts = Array.from({ length: options.teams }, (_, n) => `${n % 2 === 0 ? 'a' : 'b'}-${n}`);
  const world = stack.use(
    await openWorld({
      namespaces: shorts,
      scope: 'namespace',
      vaultAddress: routes.vault.gate.address,
      timeout: '5s',
      config: ({ prefix, ns }) =>
        configText({ prefix, ns, shorts, second: routes.second.gate.address }, options),
    }),
  );
  const teams = shorts.map((short) => ({ short, namespace: world.ns(short) }));
  const marker = textMarker('a value');
  const core = marker.core.toString();
  const isForeign = (value: string, namespace: string) =>
    value.includes(core) && !value.includes(`${core}.${namespace}.`);
  const witness = stack.use(
    await startWitness(
      kubernetes(),
      teams.map(({ namespace }) => namespace),
      isForeign,
    ),
  );
  const versions = new Map<string, number>();
  const keyOf = ({ namespace }: Team, key: string) => `${world.prefix}/${namespace}/${key}`;
  const owned = stack.move();
  const game: Game = {
    ...{ options, world, teams, rules: rulesOf(world), witness, routes, marker, keyOf },
    outages: [],
    logs: [],
    exits: [],
    served: undefined,
    serviceTimes: { startedAt: 0, readyAt: 0 },
    async put(team, key) {
      const path = `${team.namespace}/${key}`;
      const version = (versions.get(path) ?? 0) + 1;
      versions.set(path, version);
      const fields = PROPERTIES.map((property) => [
        property,
        `${core}.${team.namespace}.${key}.${property}.${version}`,
      ]);
      await world.vault.put(path, Object.fromEntries(fields));
    },
    removeKey: (team, key) => world.vault.remove(`${team.namespace}/${key}`),
    contents: () => readContents(teams.flatMap((team) => KEYS.map((key) => keyOf(team, key)))),
    async start() {
      const startedAt = Date.now();
      const served = await world.serve();
      game.served = served;
      void served.ended.then(({ code, stderr }) => {
        if (game.served !== served) return;
        game.served = undefined;
        game.exits.push(`exit code ${code}: ${stderr.trimEnd().split('\n').slice(-3).join(' ')}`);
        options.report(`The service ended by itself, ${game.exits.at(-1)}`);
      });
      game.serviceTimes = { startedAt, readyAt: Date.now() };
    },
    async [Symbol.asyncDispose]() {
      const { served } = game;
      game.served = undefined;
      await served?.[Symbol.asyncDispose]();
      await owned.disposeAsync();
    },
  };
  await prepare(game);
  return game;
}

async function prepare({ teams, put }: Game): Promise<void> {
  const { request } = kubernetes();
  for (const team of teams) {
    for (const key of KEYS) await put(team, key);
    const path = `/api/v1/namespaces/${team.namespace}/secrets`;
    const body = { metadata: { name: PRIVATE }, stringData: { OWN: 'not yours' } };
    assertStatus(await request('POST', path, body), 201, 'create a Secret of somebody else');
  }
}

async function readContents(keys: readonly string[]): Promise<Contents> {
  const contents = new Map<string, Texts>();
  for (const key of keys) {
    const { status, body } = await openbao().request<{ data: { data: Texts } }>(
      'GET',
      `/v1/secret/data/${key}`,
    );
    if (status === 200) contents.set(key, body.data.data);
    else if (status !== 404) throw new Error(`the store answered ${status}`);
  }
  return contents;
}

function rulesOf({ prefix, ns }: World): Rules {
  const { plain, tiers } = entriesOf(ns('x'));
  return {
    prefix,
    entries: [
      { isFor: () => true, selector: plain, stores: ['vault'] },
      { isFor: (namespace) => namespace.startsWith('b-'), selector: tiers, stores: STORES },
    ],
  };
}

function configText(
  {
    prefix,
    ns,
    shorts,
    second,
  }: { prefix: string; ns: (short: string) => string; shorts: readonly string[]; second: string },
  { refresh, share }: GameOptions,
): string {
  const { plain, tiers } = entriesOf(ns('x'));
  const limits = { refresh, callsPerMinute: 100_000 };
  const keys = [`${prefix}/{namespace}/**`];
  const named = shorts.filter((short) => short.startsWith('a-')).map(ns);
  // The list of stores precedes this text.
  const store = `  - name: second
    kind: vault
    address: ${second}
    auth: { method: appRole, mountPath: ${prefix}, roleId: { env: ROLE_ID }, secretId: { env: SECRET_ID } }
    limits: { requestsPerSecond: 2000, concurrency: 16, timeout: 5s }
`;
  const sections = {
    brake: { share },
    defaults: { refresh },
    include: [
      { configMaps: plain, namespaces: [...named, ns('b-*')], stores: ['vault'], keys, limits },
      { configMaps: tiers, namespaces: [ns('b-*')], stores: [...STORES], keys, limits },
    ],
  };
  return `${store}${stringify(sections, { aliasDuplicateObjects: false })}`;
}
