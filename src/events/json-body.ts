import { type JsonNode, parseIfJson } from '../core/json.ts';

/** Parses a JSON body. Returns undefined if the body is not UTF-8 or not JSON. */
export function parseJsonBody(body: Uint8Array): JsonNode | undefined {
  try {
    return parseIfJson(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}
