/** One Secret in one namespace. */
export interface TargetId {
  readonly namespace: string;
  readonly secret: string;
}

/** The form in jobs, logs and messages: `<namespace>/<secret>`. */
export function formatTarget({ namespace, secret }: TargetId): string {
  return `${namespace}/${secret}`;
}

/** The order of every list that people see: by namespace, then name, by code unit and so the same everywhere. */
export function compareTargets(a: TargetId, b: TargetId): number {
  return compareText(a.namespace, b.namespace) || compareText(a.secret, b.secret);
}

export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
