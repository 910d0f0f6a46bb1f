/** One Secret in one namespace. */
export interface TargetId {
  readonly namespace: string;
  readonly secret: string;
}

/** Returns `<namespace>/<secret>`, the form in jobs, logs and messages. */
export function formatTarget({ namespace, secret }: TargetId): string {
  return `${namespace}/${secret}`;
}

export interface TargetMap<T> {
  get(target: TargetId): T | undefined;
  set(target: TargetId, value: T): void;
  delete(target: TargetId): void;
  values(): Iterable<T>;
}

/** A map keyed by target. Lookups do not build a string, because a sweep makes tens of thousands of lookups. */
export function createTargetMap<T>(): TargetMap<T> {
  const namespaces = new Map<string, Map<string, T>>();
  return {
    get: ({ namespace, secret }) => namespaces.get(namespace)?.get(secret),
    set({ namespace, secret }, value) {
      const secrets = namespaces.get(namespace) ?? new Map<string, T>();
      namespaces.set(namespace, secrets.set(secret, value));
    },
    delete({ namespace, secret }) {
      const secrets = namespaces.get(namespace);
      if (secrets?.delete(secret) && secrets.size === 0) namespaces.delete(namespace);
    },
    *values() {
      for (const secrets of namespaces.values()) yield* secrets.values();
    },
  };
}

/**
 * The order of all lists that users see: by namespace, then by name. Compares code units, so the order is the same on
 * every machine.
 */
export function compareTargets(a: TargetId, b: TargetId): number {
  return compareText(a.namespace, b.namespace) || compareText(a.secret, b.secret);
}

export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
