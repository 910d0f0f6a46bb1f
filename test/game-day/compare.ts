import { claimsOf, type MapState, mappingsOf, mapStateOf, possibleMappings } from './map-state.ts';
import {
  type Contents,
  type MapVersion,
  type ModelMapping,
  outcomeOf,
  type Rules,
  type Texts,
} from './model.ts';

/** A Secret of a team at the end. */
export interface SecretState {
  readonly name: string;
  readonly data: Texts;
  /** The mapping in the label. Undefined for a Secret that the service does not own. */
  readonly mapping: string | undefined;
  readonly whenRemoved: string | undefined;
}

/** What the service and the API server show of one team. */
export interface TeamReality {
  readonly namespace: string;
  /** The states of each ConfigMap in `status`, by name. Each ConfigMap must have only one. */
  readonly includes: ReadonlyMap<string, readonly string[]>;
  readonly targets: readonly {
    readonly mapping: string;
    readonly secret: string;
    readonly state: string;
    readonly code?: string;
  }[];
  readonly secrets: readonly SecretState[];
  /** The names of Secrets whose deletion waits for a person. */
  readonly held: ReadonlySet<string>;
}

export interface TeamInput {
  readonly reality: TeamReality;
  /** The versions of each ConfigMap, by name, oldest first. */
  readonly history: ReadonlyMap<string, readonly MapVersion[]>;
  readonly contents: Contents;
  readonly rules: Rules;
  readonly privateSecrets: ReadonlySet<string>;
  /** When the process of the service that runs now was started, and when it was ready. */
  readonly service: { readonly startedAt: number; readonly readyAt: number };
}

export interface TeamVerdict {
  /** The differences between the model and the service, one sentence each. Without values. */
  readonly findings: readonly string[];
  /** How many mappings had exactly one correct result. */
  readonly exact: number;
}

/** An earlier version that lasted this long in a running service was in force. */
const NOTICED_MS = 30_000;

/** Compares the state of one team with what the model says. */
export function compareTeam(input: TeamInput): TeamVerdict {
  const { reality, history, rules } = input;
  const states = [...history.values()].map((versions) => mapStateOf(versions, rules));
  const present = states.filter(({ current }) => current.kind !== 'ignored');
  const names = new Set(present.map(({ name }) => name));
  const unknown = [...reality.includes.keys()].filter((name) => !names.has(name));
  const findings = unknown.map((name) => `${name}: \`status\` shows a ConfigMap that is not selected`);
  const contested = contestedClaims(present.map(possibleMappings));
  // A ConfigMap that once had to wait for another one may never have been in force.
  const everContested = contestedClaims(
    [...history.values()].map((versions) => versions.flatMap((version) => mappingsOf(version, rules))),
  );
  let exact = 0;
  for (const mapState of present) {
    findings.push(...judgeState(mapState, { contested, everContested }, input));
    const mappings = mappingsInForce(mapState, reality.includes.get(mapState.name)?.[0]);
    exact += mappings.length;
    for (const mapping of mappings) findings.push(...judgeMapping(mapping, input));
  }
  findings.push(...judgeWinners(present, reality), ...judgeOrphans(present, input));
  return { findings: findings.map((finding) => `${reality.namespace}/${finding}`), exact };
}

/**
 * Returns the claims that more than one ConfigMap has.
 *
 * @param owners The mappings of each ConfigMap.
 */
function contestedClaims(owners: readonly (readonly ModelMapping[])[]): ReadonlySet<string> {
  const claims = owners.flatMap((mappings) => [...new Set(claimsOf(mappings))]);
  return new Set(claims.filter((claim, n) => claims.indexOf(claim) !== n));
}

/** Judges what `status` says about a ConfigMap. */
function judgeState(
  mapState: MapState,
  { contested, everContested }: Readonly<Record<'contested' | 'everContested', ReadonlySet<string>>>,
  input: TeamInput,
): readonly string[] {
  const { name, current, since, earlier } = mapState;
  const [state = 'missing', ...others] = input.reality.includes.get(name) ?? [];
  if (others.length > 0)
    return [`${name}: \`status\` shows it more than once: ${[state, ...others].join(', ')}`];
  const claims = claimsOf(possibleMappings(mapState));
  const last = earlier.at(-1);
  const { startedAt, readyAt } = input.service;
  const wasNoticed = last !== undefined && last.until - Math.max(last.from, readyAt) > NOTICED_MS;
  const allowed =
    current.kind === 'valid'
      ? claims.some((claim) => contested.has(claim))
        ? ['valid', 'outdated', 'disabled']
        : ['valid']
      : last === undefined || since < startedAt
        ? ['disabled']
        : wasNoticed && !claims.some((claim) => everContested.has(claim))
          ? ['outdated']
          : ['outdated', 'disabled'];
  return allowed.includes(state)
    ? []
    : [`${name}: is ${current.kind}, and \`status\` says ${state} instead of ${allowed.join(' or ')}`];
}

/** Returns the mappings of the version that must be in force. Empty if several versions are possible, or none. */
function mappingsInForce({ current, earlier }: MapState, state: string | undefined): readonly ModelMapping[] {
  if (state === 'valid') return current.kind === 'valid' ? current.mappings : [];
  const versions = new Map(earlier.map(({ mappings }) => [JSON.stringify(mappings), mappings]));
  const [only, ...others] = versions.values();
  return state === 'outdated' && only !== undefined && others.length === 0 ? only : [];
}

function judgeMapping(mapping: ModelMapping, input: TeamInput): readonly string[] {
  const { reality, contents, privateSecrets } = input;
  const at = `${mapping.secret} of ${mapping.name}`;
  const target = reality.targets.find(
    (item) => item.mapping === mapping.name && item.secret === mapping.secret,
  );
  const secret = reality.secrets.find(({ name }) => name === mapping.secret);
  const outcome = outcomeOf(mapping, contents, privateSecrets);
  if (target === undefined) return [`${at}: \`status\` does not show the target`];
  const { state, code } = target;
  if (outcome.kind === 'refused')
    return outcome.codes.includes(code ?? '')
      ? []
      : [`${at}: is ${state} (${code}) instead of ${outcome.codes.join(' or ')}`];
  const mayBeOfDisabled = secret?.mapping !== undefined && secret.mapping !== mapping.name;
  // The mappings of a disabled ConfigMap are unknown, so a Secret of another mapping may be its own.
  if (mayBeOfDisabled && hasDisabled(reality) && code === 'TARGET_CLAIMED') return [];
  if (state !== 'synced') return [`${at}: is ${state} (${code}) instead of synced`];
  if (secret === undefined) return [`${at}: does not exist`];
  if (secret.mapping !== mapping.name) return [`${at}: has the label of ${secret.mapping}`];
  return isSameData(secret.data, outcome.data)
    ? []
    : [`${at}: has other data; keys ${Object.keys(secret.data).join(' ')}`];
}

function hasDisabled({ includes }: TeamReality): boolean {
  return [...includes.values()].flat().includes('disabled');
}

/** Only one ConfigMap with the same claim is valid. */
function judgeWinners(present: readonly MapState[], { includes }: TeamReality): readonly string[] {
  const winners = new Map<string, string>();
  const findings: string[] = [];
  for (const { name, current } of present) {
    if (current.kind !== 'valid' || includes.get(name)?.[0] !== 'valid') continue;
    for (const claim of claimsOf(current.mappings)) {
      const other = winners.get(claim);
      if (other !== undefined) findings.push(`${name}: has the ${claim}, and so has ${other}`);
      winners.set(claim, name);
    }
  }
  return findings;
}

/** Judges the Secrets of the service that no mapping wants. */
function judgeOrphans(
  present: readonly MapState[],
  { reality, history, rules }: TeamInput,
): readonly string[] {
  if (reality.secrets.length === 0) return [];
  const wanted = new Set(present.flatMap(possibleMappings).map(({ secret }) => secret));
  const orphans = reality.secrets.filter(({ name, mapping }) => mapping !== undefined && !wanted.has(name));
  const ever = [...history.values()].flat().flatMap((version) => mappingsOf(version, rules));
  const missing = present
    .flatMap(possibleMappings)
    .filter(
      ({ name, secret }) => !reality.secrets.some((live) => live.name === secret && live.mapping === name),
    );
  return orphans.flatMap(({ name, mapping, whenRemoved }) => {
    const versions = ever.filter((known) => known.secret === name && known.name === mapping);
    if (versions.length === 0) return [`${name}: no ConfigMap ever wanted it`];
    if (whenRemoved !== 'delete' || hasDisabled(reality) || reality.held.has(name)) return [];
    // The old Secret stays until the mapping that replaces it has created its Secret. Its content may come from any
    // version, because some versions are refused.
    const isAwaited = missing.some(
      (other) => other.name === mapping || versions.some((version) => readsAll(other, version)),
    );
    return isAwaited
      ? []
      : [`${name}: its mapping ended with \`onMappingRemoved: delete\`, and it still exists`];
  });
}

function readsAll(mapping: ModelMapping, other: ModelMapping): boolean {
  const sourcesOf = ({ sources }: ModelMapping) =>
    Object.values(sources).map(({ store, key }) => `${store} ${key}`);
  const own = new Set(sourcesOf(mapping));
  return sourcesOf(other).every((source) => own.has(source));
}

function isSameData(actual: Texts, expected: Texts): boolean {
  const names = Object.keys(expected);
  return (
    names.length === Object.keys(actual).length && names.every((name) => actual[name] === expected[name])
  );
}
