/** How target keys are derived from names in a store: `case` first, then `prefix` as written. */
export interface Rename {
  readonly prefix?: string | undefined;
  readonly case?: 'upper' | 'lower' | undefined;
  /** `replace` puts `_` for each character that Kubernetes does not allow. Without it, such a name is an error. */
  readonly invalid?: 'replace' | undefined;
}

/** A reference to one secret in a store. */
export interface Source {
  readonly store: string;
  readonly key: string;
  readonly property?: string | undefined;
  readonly version?: string | undefined;
  readonly object?: 'secret' | 'certificate' | 'key' | undefined;
  readonly decode?: 'base64' | 'base64url' | undefined;
  /** Covers an absent source and PROPERTY_MISSING, and no other error. */
  readonly optional: boolean;
}

/** Creates one target key for each member of an object. */
export interface Spread extends Source {
  readonly rename?: Rename | undefined;
}

/** How a kind of store names its secrets, as far as searches need to know. */
export interface Naming {
  /** Names contain no `/`, so the path of a search is a name prefix and not a folder. */
  readonly isFlat?: true;
  /**
   * Names that can be read but that no search returns: names that start with a dot, ARNs, or names in different letter
   * case.
   */
  readonly unlisted?: 'dotted' | 'arns' | 'anyCase';
}

/** Creates one target key for each key that a search finds. */
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

/**
 * A named rule that writes these sources, in this form, to the target Secret in the given namespaces. Defaults are
 * filled in.
 */
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
