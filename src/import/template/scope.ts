import type { Value } from './value.ts';

/** The meaning of template names at one point. */
export interface Scope {
  /** `undefined`: the root with all keys. */
  dot: Value | undefined;
  readonly variables: Map<string, Value>;
}

/** A nested scope for a block, whose variables end with it. */
export function within(scope: Scope): Scope {
  return { ...scope, variables: new Map(scope.variables) };
}
