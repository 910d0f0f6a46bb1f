import type { Value } from './value.ts';

/** What the names of a template mean at one place in it. */
export interface Scope {
  /** `undefined`: all keys. */
  dot: Value | undefined;
  readonly variables: Map<string, Value>;
}

/** The same for a block: what is set in it ends with it. */
export function within(scope: Scope): Scope {
  return { ...scope, variables: new Map(scope.variables) };
}
