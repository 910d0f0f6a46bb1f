import { type JsonNode, member, textOf } from '../../core/json.ts';
import { type Answer, badAnswer, tryParse } from '../answer.ts';

/** @throws AppError BAD_ANSWER */
export function parseAnswer(answer: Answer): JsonNode {
  if (!answer.isJson) throw badAnswer('it is not marked as JSON');
  const node = tryParse(answer);
  if (node === undefined) throw badAnswer('it is not valid JSON');
  return node;
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
