import { AppError } from '../../core/errors.ts';
import { JsonError, type JsonNode, parseJson } from '../../core/json.ts';

/** An answer of the server with any status, its body unparsed: `JSON.parse` would lose the text of numbers. */
export interface Answer {
  readonly status: number;
  /** May hold secret values: never in an error or a log. */
  readonly text: string;
  readonly isJson: boolean;
  readonly retryAfterMs: number | undefined;
  /** The server's clock, milliseconds since 1970. */
  readonly date: number | undefined;
}

/** @throws AppError BAD_ANSWER */
export function parseAnswer(answer: Answer): JsonNode {
  if (!answer.isJson) throw badAnswer('it is not marked as JSON');
  try {
    return parseJson(answer.text);
  } catch (error) {
    if (error instanceof JsonError) throw badAnswer('it is not valid JSON');
    throw error;
  }
}

/** Like `parseAnswer`, for answers whose status says it all; undefined where there is no JSON. */
export function tryParse(answer: Answer): JsonNode | undefined {
  if (!answer.isJson) return undefined;
  try {
    return parseJson(answer.text);
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

export function numberOf(node: JsonNode | undefined): number | undefined {
  return node?.kind === 'number' ? Number(node.text) : undefined;
}

/** Null and not there are the same to Vault. */
export function isNothing(node: JsonNode | undefined): boolean {
  return node === undefined || node.kind === 'null';
}

/** The server's own error texts: to tell cases apart, never to be shown. */
export function errorTexts(node: JsonNode | undefined): readonly string[] | undefined {
  const errors = member(node, 'errors');
  return errors?.kind === 'array' ? errors.items.map((item) => textOf(item) ?? '') : undefined;
}

export function badAnswer(detail: string): AppError {
  return new AppError('BAD_ANSWER', { detail });
}
