import { type MapState, mappingsOf, mapStateOf, possibleMappings } from './map-state.ts';
import type { MapVersion, ModelMapping, Rules } from './model.ts';

/** One change of a Secret, as a watch showed it. Contains no value. */
export interface SecretChange {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly namespace: string;
  readonly name: string;
  readonly at: number;
  readonly keys: readonly string[];
  /** Whether the Secret has a value of another team. */
  readonly hasForeignValue: boolean;
}

/** A write by the service, from the audit log of the API server. */
export interface ServiceWrite {
  readonly verb: string;
  /** `namespace/name` */
  readonly target: string;
  readonly at: number;
}

/** The versions of all ConfigMaps, by namespace and then by name. */
export type Histories = ReadonlyMap<string, ReadonlyMap<string, readonly MapVersion[]>>;

/** Finds Secrets that had a value of another team at any time. */
export function findForeignValues(changes: readonly SecretChange[]): readonly string[] {
  return changes
    .filter(({ hasForeignValue }) => hasForeignValue)
    .map(({ namespace, name }) => `${namespace}/${name}: had a value of another team`);
}

/** Finds writes to Secrets that no ConfigMap of the same namespace wanted at any time. */
export function findForeignWrites(
  writes: readonly ServiceWrite[],
  histories: Histories,
  rules: Rules,
): readonly string[] {
  const wanted = new Set(
    [...histories].flatMap(([namespace, history]) =>
      everyMapping(history, rules).map(({ secret }) => `${namespace}/${secret}`),
    ),
  );
  return writes
    .filter(({ target }) => !wanted.has(target))
    .map(({ verb, target }) => `${target}: ${verb}, and no ConfigMap of the namespace ever wanted it`);
}

/** Finds reads of keys that no allowed mapping of the owner of the key names. */
export function findForeignReads(
  keys: Iterable<string>,
  histories: Histories,
  rules: Rules,
): readonly string[] {
  const named = new Set(
    [...histories.values()].flatMap((history) =>
      everyMapping(history, rules)
        .filter(({ isAllowed }) => isAllowed)
        .flatMap(({ sources }) => Object.values(sources).map(({ key }) => key)),
    ),
  );
  return [...new Set(keys)].filter((key) => !named.has(key)).map((key) => `${key}: read for another team`);
}

/** How long the service may take to notice a ConfigMap, on a busy machine and after a kill too. */
const NOTICE_MS = 20_000;

/** Finds deletions by the service of Secrets whose mapping had not ended, or that had to be kept. */
export function findWrongDeletions(
  writes: readonly ServiceWrite[],
  histories: Histories,
  rules: Rules,
): readonly string[] {
  return writes
    .filter(({ verb }) => verb === 'delete')
    .flatMap(({ target, at }) => {
      const [namespace = '', secret = ''] = target.split('/');
      const history = histories.get(namespace) ?? new Map<string, readonly MapVersion[]>();
      const until = (time: number) =>
        [...history.values()].flatMap((versions) => {
          const past = versions.filter((version) => version.at < time);
          return past.length === 0 ? [] : [mapStateOf(past, rules)];
        });
      const wanting = until(at)
        .filter(({ since }) => since < at - NOTICE_MS)
        .find((mapState) => lastMappings(mapState).some((mapping) => mapping.secret === secret));
      if (wanting !== undefined) {
        const versions = (history.get(wanting.name) ?? []).filter((version) => version.at < at);
        const past = versions.slice(-4).map((version) => describeVersion(version, at, rules));
        return [`${target}: deleted while ${wanting.name} wants it (${past.join(', ')})`];
      }
      const past = [...history.values()].flat().filter((version) => version.at < at);
      const wasToBeDeleted = past
        .flatMap((version) => mappingsOf(version, rules))
        .some((mapping) => mapping.secret === secret && mapping.whenRemoved === 'delete');
      return wasToBeDeleted ? [] : [`${target}: deleted, and every mapping said \`keep\``];
    });
}

function describeVersion(version: MapVersion, at: number, rules: Rules): string {
  const secrets = mappingsOf(version, rules).map(({ secret, whenRemoved }) => `${secret} ${whenRemoved}`);
  return `${((at - version.at) / 1_000).toFixed(1)} s before: ${secrets.join(' and ') || 'no mapping'}`;
}

/** Returns the mappings of the current version, or of the last valid one if the ConfigMap is broken. */
function lastMappings(mapState: MapState): readonly ModelMapping[] {
  if (mapState.current.kind === 'valid') return mapState.current.mappings;
  return mapState.current.kind === 'ignored'
    ? []
    : possibleMappings({ ...mapState, earlier: mapState.earlier.slice(-1) });
}

/**
 * Finds deletions beyond the brake. A released deletion does not count.
 *
 * @param share The share of the targets that may be deleted.
 */
export function findBrakeViolations({
  deletions,
  released,
  targets,
  share,
  held,
}: {
  readonly deletions: number;
  readonly released: number;
  /** The number of all targets that any ConfigMap ever wanted. */
  readonly targets: number;
  readonly share: number;
  readonly held: number;
}): readonly string[] {
  const allowed = Math.max(1, Math.floor(share * targets));
  const automatic = deletions - released;
  const findings =
    automatic > allowed ? [`${automatic} deletions, and the brake allows at most ${allowed}`] : [];
  // The number of targets was lower at the start, so the brake may have allowed fewer deletions then.
  const isTooEarly = held > 0 && deletions + held <= allowed / 2;
  return isTooEarly
    ? [...findings, `${held} deletions are held after ${deletions}, and the brake allows ${allowed}`]
    : findings;
}

function everyMapping(
  history: ReadonlyMap<string, readonly MapVersion[]>,
  rules: Rules,
): readonly ModelMapping[] {
  return [...history.values()].flat().flatMap((version) => mappingsOf(version, rules));
}
