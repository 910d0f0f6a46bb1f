import { type JsonNode, member, textOf } from '../../core/json.ts';
import { type Answer, badAnswer, parseJsonBody } from '../answer.ts';

/** @throws AppError BAD_ANSWER */
export function parseAnswer(answer: Answer): JsonNode {
  if (!answer.isJson) throw badAnswer('its content type is not JSON');
  const node = parseJsonBody(answer);
  if (node === undefined) throw badAnswer('it is not valid JSON');
  return node;
}

export function numberOf(node: JsonNode | undefined): number | undefined {
  return node?.kind === 'number' ? Number(node.text) : undefined;
}

/** Whether a member is missing or null. Vault treats both alike. */
export function isNothing(node: JsonNode | undefined): boolean {
  return node === undefined || node.kind === 'null';
}

/** Returns the server's error texts. They serve only to tell cases apart, and must never be shown. */
export function errorTexts(node: JsonNode | undefined): readonly string[] | undefined {
  const errors = member(node, 'errors');
  return errors?.kind === 'array' ? errors.items.map((item) => textOf(item) ?? '') : undefined;
}

/**
 * Whether the response comes from Vault itself and not from a proxy. Vault's responses contain `errors`, warnings or a
 * request ID.
 */
export function isVaultBody(body: JsonNode | undefined): boolean {
  const hasVaultMetadata =
    textOf(member(body, 'request_id')) !== undefined || !isNothing(member(body, 'warnings'));
  return hasVaultMetadata || errorTexts(body) !== undefined;
}
