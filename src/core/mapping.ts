/** How names of keys are made from names in a store: first `case`, then `prefix` as written. */
export interface Rename {
  readonly prefix?: string | undefined;
  readonly case?: 'upper' | 'lower' | undefined;
  /** `replace`: `_` for each character that Kubernetes does not allow. Otherwise such a name is an error. */
  readonly invalid?: 'replace' | undefined;
}

/** One reference into a store. */
export interface Source {
  readonly store: string;
  readonly key: string;
  readonly property?: string | undefined;
  readonly version?: string | undefined;
  readonly object?: 'secret' | 'certificate' | 'key' | undefined;
  readonly decode?: 'base64' | 'base64url' | undefined;
  /** Covers a source that is absent and PROPERTY_MISSING, nothing else. */
  readonly optional: boolean;
}

/** One target key for each member of an object. */
export interface Spread extends Source {
  readonly rename?: Rename | undefined;
}

/** How a kind of store names its secrets, as far as searches have to know. */
export interface Naming {
  /** Names have no `/`, so that the path of a search is the beginning of a name and no folder. */
  readonly isFlat?: true;
  /** The names by which a secret can be read, and which no search gives: with a dot in front, ARNs, in other letters. */
  readonly unlisted?: 'dotted' | 'arns' | 'anyCase';
}

/** One target key for each key that a search finds. */
export interface Search extends Naming {
  readonly store: string;
  readonly find: {
    readonly path: string;
    readonly name?: string | undefined;
    readonly tags: Readonly<Record<string, string>>;
  };
  readonly decode?: 'base64' | 'base64url' | undefined;
  readonly rename?: Rename | undefined;
}

export interface TargetSpec {
  readonly namespaces: readonly string[];
  readonly namespaceSelector?: { readonly matchLabels: Readonly<Record<string, string>> } | undefined;
  readonly secret: string;
  readonly type: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly immutable: boolean;
  readonly recreate: boolean;
  readonly mode: 'own' | 'merge';
}

export interface Workload {
  readonly kind: string;
  readonly name?: string | undefined;
  readonly selector?: { readonly matchLabels: Readonly<Record<string, string>> } | undefined;
}

/** A named rule: these sources, shaped like this, become that Secret in those namespaces. Defaults are filled in. */
export interface Mapping {
  readonly name: string;
  readonly target: TargetSpec;
  readonly data: Readonly<Record<string, Source>>;
  readonly dataFrom: readonly (Spread | Search)[];
  readonly template?: { readonly data: Readonly<Record<string, string>>; readonly only: boolean } | undefined;
  readonly restart: readonly Workload[];
  readonly refreshMs: number;
  readonly onConflict: 'refuse' | 'adopt' | 'adoptAndDropOwner';
  readonly onDrift: 'repair' | 'report';
  readonly onSourceMissing: 'keep' | 'removeKeys' | 'delete';
  readonly softDeletedIsMissing: boolean;
  readonly onMappingRemoved: 'keep' | 'delete';
  readonly maxAgeMs?: number | undefined;
}
