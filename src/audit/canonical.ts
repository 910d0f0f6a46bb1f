/** The maximum nesting depth. Our own records have three levels, so deeper data is not ours. */
const MAX_DEPTH = 16;

/**
 * Serializes a value with the JSON Canonicalization Scheme (RFC 8785). Members are sorted by UTF-16 code units, there
 * is no white space, and numbers and strings are printed as in ECMAScript. Every program that follows the RFC produces
 * the same bytes for the same record.
 *
 * Omits members that are `undefined`. Throws a TypeError for values that JSON cannot represent.
 */
export function canonical(value: unknown, depth = 0): string {
  if (depth > MAX_DEPTH) throw new TypeError('nested too deep');
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item, depth + 1)).join(',')}]`;
  if (typeof value !== 'object') throw new TypeError(`JSON has no ${typeof value}`);
  let members = '';
  // `sort` without a comparator orders by UTF-16 code units.
  for (const name of Object.keys(value).sort()) {
    const member = (value as Readonly<Record<string, unknown>>)[name];
    if (member === undefined) continue;
    const separator = members === '' ? '' : ',';
    members += `${separator}${JSON.stringify(name)}:${canonical(member, depth + 1)}`;
  }
  return `{${members}}`;
}
