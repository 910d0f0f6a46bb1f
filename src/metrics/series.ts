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
