import type { AppError } from '../core/errors.ts';
import type { LabelSelector } from '../core/label-selector.ts';

// The part of the cluster that teams with ConfigMaps need.

/** The ConfigMaps of a namespace that a label selector matches. */
export interface ConfigMapScope {
  readonly namespace: string;
  readonly selector: LabelSelector;
}

/** A ConfigMap that a label selector matches. */
export interface SelectedConfigMap {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly data: ReadonlyMap<string, string>;
  /** The keys of `binaryData`. */
  readonly binaryKeys: readonly string[];
}

/** Handlers run one at a time, in the order of the events. */
export interface ConfigMapHandlers<T> {
  /** Reduces an object to what the caller keeps. */
  convert(object: SelectedConfigMap): T;
  /** Called with the full list at the start and after each restart of the watch. */
  listed(items: readonly T[]): void;
  changed(item: T): void;
  /** The ConfigMap was deleted, or lost its labels. */
  deleted(item: T): void;
  /** Called for each sign of activity, with the error of a failed attempt. */
  progress(error?: AppError): void;
}

/** `ending`: the API server deletes the content of the namespace now. */
export type NamespaceState = 'active' | 'ending' | 'missing';

export interface SelectedConfigMaps {
  list<T>(
    scope: ConfigMapScope,
    convert: (object: SelectedConfigMap) => T,
    options?: { readonly signal?: AbortSignal },
  ): Promise<readonly T[]>;
  /** Lists and watches the ConfigMaps until disposed. Failures are retried. */
  watch<T>(scope: ConfigMapScope, handlers: ConfigMapHandlers<T>): AsyncDisposable;
  namespaceState(namespace: string, options?: { readonly signal?: AbortSignal }): Promise<NamespaceState>;
  /** Returns all namespaces, and which of them are ending. */
  namespaces(options?: { readonly signal?: AbortSignal }): Promise<ReadonlyMap<string, 'active' | 'ending'>>;
}

/** A message about an object, for people who look at the object with `kubectl describe`. */
export interface ObjectEvent {
  readonly object: {
    readonly kind: 'Secret' | 'ConfigMap';
    readonly namespace: string;
    readonly name: string;
  };
  readonly type: 'Normal' | 'Warning';
  /** One word in camel case. */
  readonly reason: string;
  /** Contains names and texts of ours, and never a value. */
  readonly message: string;
}

export interface WrittenEvent {
  readonly namespace: string;
  readonly name: string;
}

export interface ObjectEvents {
  exists(object: ObjectEvent['object']): Promise<boolean>;
  /** Returns `undefined` if the object does not exist. @param time In milliseconds since 1970. */
  create(event: ObjectEvent, time: number): Promise<WrittenEvent | undefined>;
  /** Sets how often the event has occurred. Returns false if the event no longer exists. */
  repeat(event: WrittenEvent, count: number, time: number): Promise<boolean>;
}

/** The annotations on a ConfigMap with which the service tells GitOps tools what became of the mappings. */
export interface ConfigMapAnnotations {
  /** Returns all annotations with our prefix. Undefined if the ConfigMap does not exist. */
  read(place: ConfigMapPlace): Promise<AnnotatedConfigMap | undefined>;
  /**
   * Replaces our annotations, and changes nothing else. Without annotations, removes ours. Returns false if the ConfigMap
   * was deleted, or deleted and created again, since it was read.
   */
  write(read: AnnotatedConfigMap, annotations: Readonly<Record<string, string>>): Promise<boolean>;
}

export interface ConfigMapPlace {
  readonly namespace: string;
  readonly name: string;
}

export interface AnnotatedConfigMap extends ConfigMapPlace {
  readonly uid: string;
  readonly annotations: Readonly<Record<string, string>>;
}
