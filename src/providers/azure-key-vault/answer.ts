import type { JsonNode } from '../../core/json.ts';
import { type Answer as AnyAnswer, parseJsonBody } from '../answer.ts';

export interface Answer extends AnyAnswer {
  /** The first value of each header, by its lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
}

/** Returns undefined if the body is not a JSON object. */
export function jsonOf(answer: Pick<Answer, 'isJson' | 'text'>): JsonNode | undefined {
  const node = parseJsonBody(answer);
  return node?.kind === 'object' ? node : undefined;
}
