import type { z } from 'zod';
import type { ApprovalRule } from '../core/approval-rules.ts';
import type { ChangeWindow } from '../core/change-windows.ts';
import type { LabelSelector } from '../core/label-selector.ts';
import type { Mapping, Policy } from '../core/mapping.ts';
import type { Reference } from '../providers/credentials.ts';
import type { Problem } from './problem.ts';
import type { ConfigFile, StoreConfig } from './schema.ts';
import type { Rule } from './shape/access.ts';
import type { Include } from './shape/include.ts';

type File = z.output<typeof ConfigFile>;

/** A place for checkpoints. */
export type CheckpointPlace =
  | NonNullable<File['audit']['checkpoints']>[number]
  /** The default with PostgreSQL: the ConfigMap in a cluster, and the file elsewhere. */
  | { readonly kind: 'ownConfigMap'; readonly name: string; readonly path: string };

/** The complete configuration. Defaults are filled in, durations are in milliseconds, and local paths are absolute. */
export interface Config {
  readonly instance: string;
  readonly formerInstances: readonly string[];
  readonly cluster: File['cluster'];
  readonly engine: File['engine'];
  readonly audit: {
    readonly store: File['audit']['store'];
    readonly checkpoints: readonly CheckpointPlace[];
    readonly retentionMs?: number | undefined;
    readonly archive?: { readonly path: string } | undefined;
    readonly stdout: boolean;
  };
  readonly keys: {
    /** Newest key first. */
    readonly fingerprint: readonly [Reference, ...Reference[]];
    readonly checkpoint: Reference;
  };
  readonly http: File['http'];
  readonly log: File['log'];
  readonly tracing?: NonNullable<File['tracing']> | undefined;
  readonly brake: { readonly share: number; readonly windowMs: number };
  readonly absence: { readonly readings: number; readonly overMs: number };
  readonly restarts: { readonly windowMs: number; readonly atOnce: number };
  readonly events?: NonNullable<File['events']> | undefined;
  readonly stores: readonly StoreConfig[];
  readonly mappings: readonly Mapping[];
  /** The first entry that matches an action decides about it. */
  readonly approvals: readonly ApprovalRule[];
  readonly windows: readonly ChangeWindow[];
  /** Where messages about troubles go. */
  readonly notify: File['notify'];
  /** Each mapping has those that may apply to it. */
  readonly policies: readonly Policy[];
  /** `undefined`: everything is allowed. */
  readonly access?: readonly Rule[] | undefined;
  /** The `include` of each mapping from a tenant's file, by the name of the mapping. */
  readonly bounds: ReadonlyMap<string, Include>;
  /** The ConfigMaps that `include` selects. Undefined if it selects none. */
  readonly selectedConfigMaps?: readonly {
    readonly selector: LabelSelector;
    /** Globs of their namespaces. */
    readonly namespaces: readonly string[];
    readonly statusAnnotation?: true;
  }[];
  /** Maps the name of each mapping from a ConfigMap to the path of the ConfigMap, as in `includes`. */
  readonly configMapOf?: ReadonlyMap<string, string>;
  /** Maps the path of each ConfigMap with `statusAnnotation` to its newest text. */
  readonly withStatus?: ReadonlyMap<string, string>;
  /** The state of each included file and ConfigMap. */
  readonly includes: readonly IncludeState[];
}

/** The state of an included file. */
export interface IncludeState {
  readonly path: string;
  /** `outdated`: an earlier version of the file is in force. `disabled`: no version of it is in force. */
  readonly state: 'valid' | 'disabled' | 'outdated';
  /** A valid file may have problems of single mappings. */
  readonly problems: readonly Problem[];
  /** Globs of the namespaces in which the file may have targets. */
  readonly namespaces: readonly string[];
}

/** Returns the included files whose newest version is not in force. */
export function brokenIncludes({ includes }: Pick<Config, 'includes'>): readonly IncludeState[] {
  return includes.filter(({ state }) => state !== 'valid');
}
