import { AppError } from '../../core/errors.ts';
import { JsonError, type JsonNode, parseJson } from '../../core/json.ts';

/** An answer with any status, its body unparsed. */
export interface Answer {
  readonly status: number;
  /** May hold secret values: never in an error or a log. */
  readonly text: string;
  readonly isJson: boolean;
  /** Lower case names; the first value of each. */
  readonly headers: ReadonlyMap<string, string>;
  readonly retryAfterMs: number | undefined;
  /** The server's clock, milliseconds since 1970. */
  readonly date: number | undefined;
}

/** Undefined where there is no JSON object. */
export function jsonOf({ isJson, text }: Pick<Answer, 'isJson' | 'text'>): JsonNode | undefined {
  if (!isJson) return undefined;
  try {
    const node = parseJson(text);
    return node.kind === 'object' ? node : undefined;
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}

/** A member somewhere below, by its path. */
export function member(node: JsonNode | undefined, ...path: readonly string[]): JsonNode | undefined {
  let at = node;
  for (const name of path) {
    if (at?.kind !== 'object') return undefined;
    at = at.members.find(([candidate]) => candidate === name)?.[1];
  }
  return at;
}

export function textOf(node: JsonNode | undefined): string | undefined {
  return node?.kind === 'string' ? node.value : undefined;
}

export function badAnswer(detail: string): AppError {
  return new AppError('BAD_ANSWER', { detail });
}
