/** Formats a JSON log line as text: `<time> <LEVEL> <message> <name>=<value> …`. */
export function formatTextLine(json: string): string {
  const { time, level, message, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const head = `${String(time)} ${String(level).toUpperCase().padEnd(5)} ${String(message)}`;
  const pairs = Object.entries(fields).map(([name, value]) => ` ${name}=${quoteIfNeeded(value)}`);
  return `${head}${pairs.join('')}\n`;
}

/** Quotes each value that is not one plain word. Otherwise a value could move the cursor or imitate another field. */
function quoteIfNeeded(value: unknown): string {
  if (typeof value === 'string' && /^[\w./:@+-]+$/.test(value)) return value;
  return JSON.stringify(value).replace(
    /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
