type Labels = Readonly<Record<string, string>>;

interface Labelled {
  remove(labels: Labels): void;
}

/** Knows which series of a metric there are under a name, to end them when the name leaves the configuration. */
export interface SeriesByName {
  add(name: string, labels: Labels): void;
  /** Ends all series of the name. */
  end(name: string): void;
  names(): Iterable<string>;
}

export function createSeriesByName(metric: Labelled): SeriesByName {
  const byName = new Map<string, Map<string, Labels>>();
  return {
    add(name, labels) {
      const series = byName.get(name) ?? new Map<string, Labels>();
      series.set(Object.values(labels).join('\n'), labels);
      byName.set(name, series);
    },
    end(name) {
      for (const labels of byName.get(name)?.values() ?? []) metric.remove(labels);
      byName.delete(name);
    },
    // A copy, so that names may be ended on the way.
    names: () => [...byName.keys()],
  };
}
