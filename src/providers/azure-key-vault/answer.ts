import type { JsonNode } from '../../core/json.ts';
import { type Answer as AnyAnswer, tryParse } from '../answer.ts';

export interface Answer extends AnyAnswer {
  /** Lower case names; the first value of each. */
  readonly headers: ReadonlyMap<string, string>;
}

/** Undefined where there is no JSON object. */
export function jsonOf(answer: Pick<Answer, 'isJson' | 'text'>): JsonNode | undefined {
  const node = tryParse(answer);
  return node?.kind === 'object' ? node : undefined;
}
