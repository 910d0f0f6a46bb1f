import type { Refused } from './checks.ts';
import type { Finding, Json, Notes } from './node.ts';
import type { Objects, ToolApi, ToolObject } from './objects.ts';
import type { Step } from './steps.ts';
import type { SecretRefs } from './store.ts';

/** A tool whose objects can be imported. */
export interface Tool {
  /** The name of the command `secretbridge import <name>`. */
  readonly name: string;
  /** The name of the tool in sentences. */
  readonly title: string;
  readonly api: ToolApi;
  /** Whether the import also needs the workloads of the cluster. */
  readonly readsWorkloads?: true;
  /** Converts the objects. Each object is passed to the collector once. */
  convert(objects: Objects, context: ConvertContext): Converted;
  /** Returns the step that stops the tool, and the steps after the Secrets were taken over. */
  steps(mappings: readonly Json[]): { readonly stop: Step; readonly remove: readonly Step[] };
  /** The field of the tool that limits who may use a store, for messages. */
  readonly bounds: string;
  /** Notes about the tool that apply to every mapping. */
  readonly notes: readonly string[];
}

export interface ConvertContext {
  readonly collector: Collector;
  readonly secrets: SecretRefs;
  readonly refused: Refused;
  /** Settings that the tool takes from its own installation, given by the user. */
  readonly defaults: Defaults;
}

export interface Defaults {
  /** The address of the Vault server. */
  readonly vaultAddress?: string;
  /** The region of AWS. */
  readonly region?: string;
  /** Whether files that pods only mount become Secrets. */
  readonly mountedFiles?: true;
}

export interface Converted {
  readonly stores: readonly Json[];
  /** The `access` rules. `undefined`: everything is allowed. */
  readonly access: readonly Json[] | undefined;
  /** The times in which mappings may change. Each entry names one mapping. */
  readonly windows?: readonly Json[];
}

/** Collects what became of each object. */
export interface Collector {
  /** Adds the mappings of an object. A mapping is active only if its part and its object were converted completely. */
  add(object: ToolObject, notes: Notes, parts: readonly Part[]): void;
  /** Adds an object that became stores, or became no mapping of its own. */
  report(object: ToolObject, findings: readonly Finding[], becomes: readonly string[]): void;
  /** Adds an object that another object of the input created. */
  skip(object: ToolObject): void;
}

/** A mapping, and the findings about its part of the object. */
export interface Part {
  readonly mapping: Json;
  /** Default: the notes of the object. */
  readonly notes?: Notes;
  /** The mapping is complete, but a person decides whether to activate it. */
  readonly isProposed?: true;
}
