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
  // A name has a handful of series, and there may be ten thousand names: lists, since a map of each takes ten times as much.
  const byName = new Map<string, Labels[]>();
  return {
    add(name, labels) {
      const series = byName.get(name);
      if (series === undefined) byName.set(name, [labels]);
      else if (!series.some((it) => isSame(it, labels))) series.push(labels);
    },
    end(name) {
      for (const labels of byName.get(name) ?? []) metric.remove(labels);
      byName.delete(name);
    },
    // A copy, so that names may be ended on the way.
    names: () => [...byName.keys()],
  };
}

function isSame(one: Labels, other: Labels): boolean {
  return Object.entries(one).every(([name, value]) => other[name] === value);
}
