import { type Judgement, judge, type MapVersion, type ModelMapping, type Rules } from './model.ts';

/** A removal that is shorter than this may escape the service. */
const SHORT_MS = 60_000;

/** A service that was killed, or that is busy, notices a version only if the version lasts longer than this. */
const UNNOTICED_MS = 120_000;

/** What is known of one ConfigMap at one time. */
export interface MapState {
  readonly name: string;
  readonly current: Judgement;
  /** When the ConfigMap got its present judgement. */
  readonly since: number;
  /** The valid versions before the current one. One of them may still be in force. Oldest first. */
  readonly earlier: readonly EarlierVersion[];
}

interface EarlierVersion {
  readonly mappings: readonly ModelMapping[];
  readonly from: number;
  readonly until: number;
}

/** @param versions All versions of one ConfigMap, oldest first. */
export function mapStateOf(versions: readonly MapVersion[], rules: Rules): MapState {
  let current: Judgement = { kind: 'ignored' };
  let since = 0;
  let earlier: EarlierVersion[] = [];
  for (const version of versions) {
    const next = judged(version, rules);
    if (isSame(current, next)) continue;
    if (current.kind === 'valid')
      earlier.push({ mappings: current.mappings, from: since, until: version.at });
    // A ConfigMap that comes back after a removal has no earlier version.
    else if (current.kind === 'ignored' && version.at - since > SHORT_MS) earlier = [];
    since = version.at;
    current = next;
  }
  const recent = earlier.filter(({ until }, n) => n === earlier.length - 1 || until > since - UNNOTICED_MS);
  return { name: versions[0]?.name ?? '', current, since, earlier: recent };
}

/** Returns the names and Secrets of mappings. Two ConfigMaps must not have the same. */
export function claimsOf(mappings: readonly ModelMapping[]): readonly string[] {
  return mappings.flatMap(({ name, secret }) => [`name ${name}`, `secret ${secret}`]);
}

/** Returns the mappings that may be in force: the current ones, and those of earlier versions. */
export function possibleMappings({ current, earlier }: MapState): readonly ModelMapping[] {
  const now = current.kind === 'valid' ? current.mappings : [];
  return current.kind === 'ignored' ? [] : [...now, ...earlier.flatMap(({ mappings }) => mappings)];
}

function isSame(first: Judgement, second: Judgement): boolean {
  return JSON.stringify(first) === JSON.stringify(second);
}

const known = new WeakMap<MapVersion, { readonly rules: Rules; readonly judgement: Judgement }>();

/** Judges each version once, because a version is needed for each comparison. */
function judged(version: MapVersion, rules: Rules): Judgement {
  const earlier = known.get(version);
  if (earlier?.rules === rules) return earlier.judgement;
  const judgement = judge(version, rules);
  known.set(version, { rules, judgement });
  return judgement;
}

/** Returns the mappings of one version. */
export function mappingsOf(version: MapVersion, rules: Rules): readonly ModelMapping[] {
  const judgement = judged(version, rules);
  return judgement.kind === 'valid' ? judgement.mappings : [];
}
