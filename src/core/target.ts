/** One Secret in one namespace. */
export interface TargetId {
  readonly namespace: string;
  readonly secret: string;
}

/** Returns `<namespace>/<secret>`, the form in jobs, logs and messages. */
export function formatTarget({ namespace, secret }: TargetId): string {
  return `${namespace}/${secret}`;
}

/** The outcomes of a run of a target, in the order in which a summary prints them. */
export const RUN_OUTCOMES = [
  'created',
  'updated',
  'deleted',
  'unchanged',
  'waiting',
  'refused',
  'held',
  'failed',
] as const;

interface TargetMap<T> {
  get(target: TargetId): T | undefined;
  set(target: TargetId, value: T): void;
  delete(target: TargetId): void;
  values(): readonly T[];
}

/** Creates a map keyed by target. Lookups do not build a string, because a sweep makes tens of thousands of lookups. */
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
    values() {
      const all: T[] = [];
      for (const secrets of namespaces.values()) for (const value of secrets.values()) all.push(value);
      return all;
    },
  };
}

/**
 * Compares two targets by namespace, then by name. All lists that users see have this order. It compares code units, so
 * the order does not depend on the machine.
 */
export function compareTargets(a: TargetId, b: TargetId): number {
  return compareText(a.namespace, b.namespace) || compareText(a.secret, b.secret);
}

export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** An instance owns the targets of its current name and of its former names. */
export interface Instances {
  readonly instance: string;
  readonly formerInstances: readonly string[];
}

export function instancesOf({ instance, formerInstances }: Instances): readonly string[] {
  return [instance, ...formerInstances];
}

/** RFC 1123 label: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ */
export const DNS_LABEL = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

/** RFC 1123 subdomain: labels joined by dots. */
export const DNS_SUBDOMAIN =
  /^(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;

export function isNamespaceName(name: string): boolean {
  return DNS_LABEL.test(name);
}

export function isSecretName(name: string): boolean {
  return DNS_SUBDOMAIN.test(name);
}

/** https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set */
const LABEL_NAME = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

/** Whether the text is a valid key of a label or annotation, such as `team` or `example.com/team`. */
export function isLabelKey(key: string): boolean {
  const parts = key.split('/');
  const [prefix, name] = parts.length === 1 ? [undefined, key] : parts;
  return (
    parts.length <= 2 && LABEL_NAME.test(name ?? '') && (prefix === undefined || DNS_SUBDOMAIN.test(prefix))
  );
}

export function isLabelValue(value: string): boolean {
  return value === '' || LABEL_NAME.test(value);
}
