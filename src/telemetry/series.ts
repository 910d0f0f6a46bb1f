import type { Clock } from '../core/clock.ts';

type Labels = Readonly<Record<string, string>>;

interface LabeledMetric {
  remove(labels: Labels): void;
}

/** Tracks the series of a metric by name, so that they can be removed when the name is no longer configured. */
export interface SeriesByName {
  add(name: string, labels: Labels): void;
  /** Removes all series of a name. */
  remove(name: string): void;
  names(): Iterable<string>;
}

export function createSeriesByName(metric: LabeledMetric): SeriesByName {
  // Use arrays instead of maps, because each name has only a few series. For ten thousand names, maps would need ten
  // times the memory.
  const byName = new Map<string, Labels[]>();
  return {
    add(name, labels) {
      const series = byName.get(name);
      if (series === undefined) byName.set(name, [labels]);
      else if (!series.some((existing) => isSame(existing, labels))) series.push(labels);
    },
    remove(name) {
      for (const labels of byName.get(name) ?? []) metric.remove(labels);
      byName.delete(name);
    },
    // Return a copy, so that the caller may remove names while iterating.
    names: () => [...byName.keys()],
  };
}

function isSame(one: Labels, other: Labels): boolean {
  return Object.entries(one).every(([name, value]) => other[name] === value);
}

export interface StalenessInput {
  readonly mapping: string;
  readonly namespace: string;
  /** Whole seconds since the last success; `null`: never. */
  readonly staleSeconds: number | null;
}

/**
 * Returns the seconds since the last successful sync of a target, as an integer. If the target never synced, returns
 * the seconds since it first appeared.
 */
type Staleness = (targets: readonly StalenessInput[]) => (target: StalenessInput) => number;

export function createStaleness({ now }: Pick<Clock, 'now'>): Staleness {
  let firstSeen: ReadonlyMap<string, number> = new Map();
  return (targets) => {
    const nowMs = now();
    const neverSynced = targets.filter(({ staleSeconds }) => staleSeconds === null).map(nameOf);
    firstSeen = new Map(neverSynced.map((name) => [name, firstSeen.get(name) ?? nowMs]));
    const since = (target: StalenessInput): number => firstSeen.get(nameOf(target)) ?? nowMs;
    return (target) => target.staleSeconds ?? Math.max(0, Math.floor((nowMs - since(target)) / 1_000));
  };
}

/** A mapping has at most one target in each namespace. */
function nameOf({ mapping, namespace }: StalenessInput): string {
  return `${namespace}/${mapping}`;
}

/**
 * Returns the series with a label `namespace` whose value is visible, from metrics in the Prometheus text format. All
 * other series can include other namespaces, so they are left out.
 */
export function ofNamespaces(text: string, isVisible: (namespace: string) => boolean): string {
  const sections = text.split(/^(?=# HELP )/m).flatMap((section) => {
    const lines = section.trimEnd().split('\n');
    const series = lines.filter((line) => {
      // No label can contain a quotation mark: all are names from the configuration, or codes.
      const namespace = line.startsWith('#') ? undefined : /[{,]namespace="([^"]*)"/.exec(line)?.[1];
      return namespace !== undefined && isVisible(namespace);
    });
    return series.length === 0 ? [] : [...lines.filter((line) => line.startsWith('#')), ...series, ''];
  });
  return sections.join('\n');
}
