/** The maximum nesting depth. Printing is recursive, so deeper nesting could overflow the stack. */
const MAX_DEPTH = 500;
/**
 * The maximum number of members and items. Each needs about 150 bytes while a text is parsed. A Secret of 1 MiB has fewer
 * keys, unless they are empty.
 */
export const MAX_JSON_VALUES = 200_000;

/**
 * Checks depth and number of values before a text is parsed, because parsing a small text can need a hundred times its
 * memory. A text within the bounds may still be invalid.
 */
export function checkJsonBounds(text: string): 'ok' | 'too-deep' | 'too-many' {
  let depth = 0;
  let values = 1;
  for (let at = 0; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case QUOTE: {
        const end = endOfString(text, at);
        if (end === undefined) return 'ok';
        at = end - 1;
        break;
      }
      case OPEN_LIST:
      case OPEN_OBJECT:
        depth += 1;
        values += 1;
        if (depth > MAX_DEPTH) return 'too-deep';
        break;
      case CLOSE_LIST:
      case CLOSE_OBJECT:
        depth -= 1;
        break;
      case COMMA:
        values += 1;
        break;
      default:
    }
    if (values > MAX_JSON_VALUES) return 'too-many';
  }
  return 'ok';
}

const [QUOTE, COMMA, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x22, 0x2c, 0x5b, 0x5d, 0x7b, 0x7d];

/**
 * Returns the index after the closing quote, which is the first quote that follows an even number of backslashes.
 * Returns undefined if there is none.
 */
export function endOfString(text: string, start: number): number | undefined {
  for (let quote = text.indexOf('"', start + 1); quote !== -1; quote = text.indexOf('"', quote + 1)) {
    let slashes = 0;
    while (text.charAt(quote - 1 - slashes) === '\\') slashes += 1;
    if (slashes % 2 === 0) return quote + 1;
  }
  return undefined;
}
