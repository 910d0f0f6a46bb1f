import type { Value } from './value.ts';

/** The values of the dot and of the variables at one point of a template. */
export interface Scope {
  /** `undefined`: the dot is the root object with all keys. */
  dot: Value | undefined;
  readonly variables: Map<string, Value>;
}

/** A nested scope for a block. Its variables end with the block. */
export function within(scope: Scope): Scope {
  return { ...scope, variables: new Map(scope.variables) };
}
