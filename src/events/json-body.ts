import { type JsonNode, parseIfJson } from '../core/json.ts';

/** A body as JSON; undefined where it is not UTF-8, or no JSON. */
export function jsonOf(body: Uint8Array): JsonNode | undefined {
  try {
    return parseIfJson(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}
