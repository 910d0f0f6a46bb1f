import { AppError } from './errors.ts';
import type { LabelSelector } from './label-selector.ts';

/**
 * How target keys are derived from names in a store. `case` is applied first, then `replace`, and then `prefix` is added
 * unchanged.
 */
export interface Rename {
  /** Regular expressions of linear time. The text of each match becomes `to`, in this order. */
  readonly patterns?: readonly { readonly match: string; readonly to: string }[] | undefined;
  readonly prefix?: string | undefined;
  /** Replaces each occurrence of the text `from`. */
  readonly replace?: { readonly from: string; readonly to: string } | undefined;
  readonly case?: 'upper' | 'lower' | undefined;
  /**
   * With `replace`, each character that Kubernetes does not allow becomes `_`. Without `replace`, a name with such a
   * character is an error.
   */
  readonly invalid?: 'replace' | undefined;
}

export const DECODINGS = ['base64', 'base64url', 'hex'] as const;
/** The encoding of a value in a store. */
export type Decoding = (typeof DECODINGS)[number];

/** A reference to one secret in a store. */
export interface Source {
  readonly store: string;
  readonly key: string;
  readonly property?: string | undefined;
  readonly version?: string | undefined;
  readonly object?: 'secret' | 'certificate' | 'key' | undefined;
  readonly decode?: Decoding | undefined;
  /**
   * Whether this source may be absent, or may lack the property (PROPERTY_MISSING). Any other error of the source still
   * fails the target.
   */
  readonly optional: boolean;
}

/** Creates one target key for each member of an object. */
export interface Spread extends Source {
  readonly rename?: Rename | undefined;
}

/** How the names in a store behave in searches. Depends on the kind of store. */
export interface Naming {
  /** Names contain no `/`, so the path of a search is a name prefix instead of a folder. */
  readonly isFlat?: true;
  /**
   * Names that can be read, but that searches never return: names that start with a dot, ARNs, or names in a different
   * letter case.
   */
  readonly unlisted?: 'dotted' | 'arns' | 'anyCase';
}

/** Creates one target key for each store key that a search finds. */
export interface Search extends Naming {
  readonly store: string;
  readonly find: {
    readonly path: string;
    readonly name?: string | undefined;
    readonly tags: Readonly<Record<string, string>>;
  };
  readonly decode?: Decoding | undefined;
  readonly rename?: Rename | undefined;
  /** Whether the search may find nothing. Then even an empty Secret is written. */
  readonly optional?: true | undefined;
}

export interface TargetSpec {
  readonly namespaces: readonly string[];
  readonly namespaceSelector?: LabelSelector | undefined;
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
  readonly selector?: LabelSelector | undefined;
}

/**
 * A named rule from the configuration, with defaults filled in. It writes the listed sources to the target Secret in
 * each of its namespaces.
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
  /** The `include` that this mapping comes from. Undefined for a mapping of the operator's own files. */
  readonly include?: MappingInclude | undefined;
  /** The policies that may apply to a target of this mapping. Undefined: none. */
  readonly policies?: readonly Policy[] | undefined;
}

/** An entry of `policies` in the configuration: a rule for the targets in some namespaces. */
export interface Policy {
  /** Globs. */
  readonly namespaces: readonly string[];
  /** A regular expression that the name of each Secret must match. */
  readonly secretName?: string | undefined;
  /** A regular expression that each key of a Secret must match. */
  readonly keyName?: string | undefined;
  /** Labels that each Secret must have. */
  readonly requireLabels?: readonly string[] | undefined;
  /** How old a value may become, in milliseconds. */
  readonly maxAgeMs?: number | undefined;
  /** Globs for the stores from which values may come. */
  readonly stores?: readonly string[] | undefined;
}

export interface MappingInclude {
  /** The `path` of the `include`. Mappings with the same path share the limits of the `include`. */
  readonly path: string;
  /** Maximum calls to stores per minute, of all mappings of the `include` together. */
  readonly callsPerMinute: number;
  readonly limits: MappingLimits;
  readonly bounds: MappingBounds;
}

/** What the mappings of an `include` may use. Each entry is a glob for the whole name. */
export interface MappingBounds {
  readonly namespaces: readonly string[];
  readonly stores: readonly string[];
  readonly keys: readonly string[];
  /** Types of Secrets, in addition to the ordinary ones. */
  readonly types: readonly string[];
}

/** What an `include` allows each of its mappings. */
export interface MappingLimits {
  /** Maximum number of keys that the mapping reads or writes for one target. */
  readonly keysPerMapping: number;
  /** Maximum time to render all templates of the mapping. */
  readonly templateTimeMs: number;
  /** Maximum size of what all templates of the mapping give. */
  readonly templateBytes: number;
}

/** Whether Kubernetes accepts the name as a key of a Secret. */
export function isTargetKey(name: string): boolean {
  return /^[-._a-zA-Z0-9]{1,253}$/.test(name) && name !== '.' && !name.startsWith('..');
}

/** @param sources The descriptions of both sources. */
export function keyCollision(key: string, ...sources: readonly [string, string]): AppError {
  return new AppError('KEY_COLLISION', { subject: `key ${key}`, detail: sources.join('; and ') });
}
