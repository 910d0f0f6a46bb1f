type Labels = Readonly<Record<string, string>>;

interface LabeledMetric {
  remove(labels: Labels): void;
}

/** Tracks the series of a metric by name, to remove them when the name leaves the configuration. */
export interface SeriesByName {
  add(name: string, labels: Labels): void;
  /** Removes all series of the name. */
  remove(name: string): void;
  names(): Iterable<string>;
}

export function createSeriesByName(metric: LabeledMetric): SeriesByName {
  // Arrays and not maps: a name has few series, and with ten thousand names maps would take ten times the memory.
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
    // A copy, so that the caller may remove names while iterating.
    names: () => [...byName.keys()],
  };
}

function isSame(one: Labels, other: Labels): boolean {
  return Object.entries(one).every(([name, value]) => other[name] === value);
}
