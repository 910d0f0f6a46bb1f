import { kubernetes } from '../integration/services/inject.ts';
import { compareTeam, type SecretState, type TeamReality } from './compare.ts';
import { type Game, PRIVATE } from './game.ts';
import type { Contents, Texts } from './model.ts';

interface RawSecret {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels?: Texts;
    readonly annotations?: Texts;
    readonly managedFields?: readonly { readonly manager?: string }[];
  };
  readonly data?: Texts;
}

/** Reads all Secrets of the teams, as the administrator. */
export async function readSecrets({ teams }: Game): Promise<ReadonlyMap<string, readonly RawSecret[]>> {
  const { body } = await kubernetes().request<{ items: readonly RawSecret[] }>('GET', '/api/v1/secrets');
  const all = Map.groupBy(body.items, ({ metadata }) => metadata.namespace);
  return new Map(teams.map(({ namespace }) => [namespace, all.get(namespace) ?? []]));
}

/** Reads the state of all teams, from the API server and from the service. */
async function readTeams(game: Game): Promise<readonly TeamReality[]> {
  const { served, teams } = game;
  if (served === undefined) throw new Error('the service is down');
  const [status, secrets] = await Promise.all([served.status(), readSecrets(game)]);
  const includes = status.includes.map(({ path, state }) => {
    const [namespace = '', name = ''] = path.replace(/^configmap:/, '').split('/');
    return { namespace, name, state };
  });
  const includesBy = Map.groupBy(includes, ({ namespace }) => namespace);
  const targetsBy = Map.groupBy(status.targets, ({ namespace }) => namespace);
  const heldBy = Map.groupBy(status.held, ({ namespace }) => namespace);
  return teams.map(({ namespace }) => ({
    namespace,
    includes: statesByName(includesBy.get(namespace) ?? []),
    targets: targetsBy.get(namespace) ?? [],
    secrets: (secrets.get(namespace) ?? []).map(stateOf),
    held: new Set(heldBy.get(namespace)?.map(({ secret }) => secret)),
  }));
}

function statesByName(includes: readonly { readonly name: string; readonly state: string }[]) {
  const byName = Map.groupBy(includes, ({ name }) => name);
  return new Map([...byName].map(([name, all]) => [name, all.map(({ state }) => state)]));
}

function stateOf({ metadata: { name, labels = {}, annotations = {} }, data = {} }: RawSecret): SecretState {
  const mapping = labels['secretbridge.dev/mapping'];
  return { name, data, mapping, whenRemoved: annotations['secretbridge.dev/on-mapping-removed'] };
}

/** Compares all teams with the model. */
export async function compareAll(
  game: Game,
  contents: Contents,
): Promise<{ readonly findings: readonly string[]; readonly exact: number; readonly held: number }> {
  const realities = await readTeams(game);
  const { histories } = game.witness;
  const verdicts = realities.map((reality) =>
    compareTeam({
      ...{ reality, contents, rules: game.rules, service: game.serviceTimes },
      history: histories.get(reality.namespace) ?? new Map(),
      privateSecrets: new Set([PRIVATE]),
    }),
  );
  return {
    findings: verdicts.flatMap(({ findings }) => findings),
    exact: verdicts.reduce((sum, { exact }) => sum + exact, 0),
    held: realities.reduce((sum, { held }) => sum + held.size, 0),
  };
}

/** Finds Secrets with wrong owners: labels of another team, or a Secret of somebody else that the service wrote. */
export async function findWrongOwners(game: Game): Promise<readonly string[]> {
  const secrets = await readSecrets(game);
  return [...secrets].flatMap(([namespace, items]) =>
    items.flatMap(({ metadata: { name, labels = {}, managedFields = [] } }) => {
      const mapping = labels['secretbridge.dev/mapping'];
      const isWritten = managedFields.some(({ manager }) => manager?.startsWith('secretbridge') === true);
      const isOurs = mapping?.startsWith(`${namespace}.`) === true;
      if (name === PRIVATE && (isWritten || mapping !== undefined))
        return [`${namespace}/${name}: the service wrote a Secret of somebody else`];
      return name === PRIVATE || (isOurs && isWritten)
        ? []
        : [
            `${namespace}/${name}: has the mapping ${mapping}, and the field manager of the service: ${isWritten}`,
          ];
    }),
  );
}
