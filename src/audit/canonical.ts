/** Our records are three levels deep. Anything deeper did not come from us. */
const MAX_DEPTH = 16;

/**
 * The JSON Canonicalization Scheme (RFC 8785): members sorted by UTF-16 code units, no white space, numbers and strings
 * as ECMAScript prints them. The same record gives the same bytes in any program.
 *
 * Members that are `undefined` are left out. Throws a TypeError for values that JSON cannot hold.
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
