import type { Json } from '../node.ts';

const NEGATED = { In: 'NotIn', NotIn: 'In', Exists: 'DoesNotExist', DoesNotExist: 'Exists' } as const;

/** A requirement of a label selector (https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/). */
export interface Requirement {
  readonly key: string;
  readonly operator: keyof typeof NEGATED;
  readonly values: readonly string[];
}

/** A label selector. All requirements must hold. */
export type Selector = readonly Requirement[];

/** More mappings than this are harder to read than a list of namespaces. */
const MOST_SELECTORS = 12;

/**
 * Converts alternative selectors to selectors that never overlap. So no namespace gets the same Secret from two
 * mappings. Returns `undefined` if there would be too many.
 */
export function disjointSelectors(selectors: readonly Selector[]): readonly Selector[] | undefined {
  const all = merged(selectors.flatMap((selector) => listOf(normalized(selector))));
  const result: Selector[] = [];
  for (const [index, selector] of all.entries()) {
    let parts: readonly Selector[] = [selector];
    for (const earlier of all.slice(0, index)) {
      parts = parts.flatMap((part) => without(part, earlier));
      if (parts.length > MOST_SELECTORS) return undefined;
    }
    for (const part of parts) result.push(part);
  }
  return result.length > MOST_SELECTORS ? undefined : result;
}

/** Returns selectors for everything that `selector` selects and `excluded` does not. */
function without(selector: Selector, excluded: Selector): readonly Selector[] {
  return excluded.flatMap((requirement, index) => {
    const negated = { ...requirement, operator: NEGATED[requirement.operator] };
    return listOf(normalized([...selector, ...excluded.slice(0, index), negated]));
  });
}

function listOf(selector: Selector | undefined): readonly Selector[] {
  return selector === undefined ? [] : [selector];
}

/** Joins selectors that differ only in the values of one label. */
function merged(selectors: readonly Selector[]): readonly Selector[] {
  const result: Selector[] = [];
  for (const selector of selectors) {
    const at = result.findIndex((other) => union(other, selector) !== undefined);
    const joined = at < 0 ? undefined : union(result[at] ?? [], selector);
    if (joined === undefined) result.push(selector);
    else result[at] = joined;
  }
  return result.length === selectors.length ? result : merged(result);
}

function union(a: Selector, b: Selector): Selector | undefined {
  if (a.length !== b.length) return undefined;
  const differing = a.filter((requirement, index) => !isSame(requirement, b[index]));
  const [one, ...more] = differing;
  if (one === undefined) return a;
  const other = b.find(({ key }) => key === one.key);
  if (more.length > 0 || other === undefined || one.operator !== 'In' || other.operator !== 'In')
    return undefined;
  const values = [...new Set([...one.values, ...other.values])].toSorted();
  return a.map((requirement) => (requirement === one ? { ...one, values } : requirement));
}

function isSame(a: Requirement, b: Requirement | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Returns the requirements in a fixed order and as few as possible. Returns `undefined` if nothing can match. */
function normalized(selector: Selector): Selector | undefined {
  const byKey = Map.groupBy(selector, ({ key }) => key);
  const result: Requirement[] = [];
  for (const [key, requirements] of [...byKey].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const one = normalizedKey(key, requirements);
    if (one === undefined) return undefined;
    for (const requirement of one) result.push(requirement);
  }
  return result;
}

function normalizedKey(key: string, requirements: readonly Requirement[]): Selector | undefined {
  const has = (operator: Requirement['operator']) => requirements.some((one) => one.operator === operator);
  const valuesOf = (operator: Requirement['operator']) =>
    requirements.filter((one) => one.operator === operator).map(({ values }) => values);
  const excluded = new Set(valuesOf('NotIn').flat());
  const [first, ...others] = valuesOf('In');
  if (has('DoesNotExist'))
    return first !== undefined || has('Exists') ? undefined : [{ key, operator: 'DoesNotExist', values: [] }];
  if (first !== undefined) {
    const values = [...new Set(first)]
      .filter((value) => !excluded.has(value) && others.every((other) => other.includes(value)))
      .toSorted();
    return values.length === 0 ? undefined : [{ key, operator: 'In', values }];
  }
  const notIn: Selector =
    excluded.size === 0 ? [] : [{ key, operator: 'NotIn', values: [...excluded].toSorted() }];
  return has('Exists') ? [{ key, operator: 'Exists', values: [] }, ...notIn] : notIn;
}

/** Formats a selector for `target.namespaceSelector`. */
export function selectorOf(selector: Selector): Json {
  const labels = selector.filter(({ operator, values }) => operator === 'In' && values.length === 1);
  const expressions = selector.filter((requirement) => !labels.includes(requirement));
  return {
    ...(labels.length === 0
      ? {}
      : { matchLabels: Object.fromEntries(labels.map(({ key, values }) => [key, values[0]])) }),
    ...(expressions.length === 0
      ? {}
      : {
          matchExpressions: expressions.map(({ key, operator, values }) => ({
            key,
            operator,
            ...(values.length === 0 ? {} : { values }),
          })),
        }),
  };
}
