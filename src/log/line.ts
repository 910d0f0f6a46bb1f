/** A line for people out of a JSON line of the log: `<time> <LEVEL> <message> <name>=<value> …`. */
export function lineFrom(json: string): string {
  const { time, level, message, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const head = `${String(time)} ${String(level).toUpperCase().padEnd(5)} ${String(message)}`;
  const pairs = Object.entries(fields).map(([name, value]) => ` ${name}=${shown(value)}`);
  return `${head}${pairs.join('')}\n`;
}

/** Quoted unless it is one plain word: a name must not be able to move the cursor or to look like another field. */
function shown(value: unknown): string {
  if (typeof value === 'string' && /^[\w./:@+-]+$/.test(value)) return value;
  return JSON.stringify(value).replace(
    /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
