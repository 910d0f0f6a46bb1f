/** Records are three levels deep; what is deeper was never written by us. */
const MAX_DEPTH = 16;

/**
 * The JSON Canonicalization Scheme (RFC 8785): members sorted by UTF-16 code units, no white space, numbers and
 * strings as ECMAScript prints them. The same record gives the same bytes in any program.
 *
 * Members that are `undefined` are left out. Throws a TypeError for what JSON cannot hold.
 */
export function canonical(value: unknown): string {
  const sorted = inOrder(value, 0);
  // The platform prints a whole record twice as fast as it is put together member by member.
  return sorted === NO_ORDER ? printed(value) : JSON.stringify(sorted);
}

/** No object can have its members in this order. */
const NO_ORDER = Symbol('no order');

/** The value with the members of each object in order. */
function inOrder(value: unknown, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new TypeError('nested too deep');
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  if (typeof value !== 'object') throw new TypeError(`JSON has no ${typeof value}`);
  if (Array.isArray(value)) {
    const items = value.map((item) => inOrder(item, depth + 1));
    return items.includes(NO_ORDER) ? NO_ORDER : items;
  }
  const sorted: Record<string, unknown> = {};
  let hasOrder = true;
  for (const name of namesOf(value)) {
    sorted[name] = inOrder(memberOf(value, name), depth + 1);
    // An index comes first in any object, and this name is no member like others.
    hasOrder &&= sorted[name] !== NO_ORDER && !/^\d+$/.test(name) && name !== '__proto__';
  }
  return hasOrder ? sorted : NO_ORDER;
}

/** The same text, of a value that can be printed. */
function printed(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(printed).join(',')}]`;
  const members = namesOf(value).map((name) => `${JSON.stringify(name)}:${printed(memberOf(value, name))}`);
  return `{${members.join(',')}}`;
}

function namesOf(value: object): readonly string[] {
  // Without a comparison of its own `sort` goes by UTF-16 code units.
  return Object.keys(value)
    .filter((name) => memberOf(value, name) !== undefined)
    .sort();
}

function memberOf(value: object, name: string): unknown {
  return (value as Readonly<Record<string, unknown>>)[name];
}
