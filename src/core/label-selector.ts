import { compareText } from './target.ts';

/** A requirement for one label. `values` is empty unless the operator is `In` or `NotIn`. */
export interface LabelRequirement {
  readonly key: string;
  readonly operator: (typeof OPERATORS)[number];
  readonly values: readonly string[];
}

export const OPERATORS = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const;

/**
 * Selects objects that meet all requirements, as in Kubernetes.
 * https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
 */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>> | undefined;
  readonly matchExpressions?: readonly LabelRequirement[] | undefined;
}

/** Whether a selector matches an object with these labels. `NotIn` also matches an object without the label. */
export function selects(
  { matchLabels = {}, matchExpressions = [] }: LabelSelector,
  labels: ReadonlyMap<string, string>,
): boolean {
  const meets = ({ key, operator, values }: LabelRequirement): boolean => {
    const value = labels.get(key);
    if (operator === 'Exists') return value !== undefined;
    if (operator === 'DoesNotExist') return value === undefined;
    return (value !== undefined && values.includes(value)) === (operator === 'In');
  };
  return (
    Object.entries(matchLabels).every(([key, value]) => labels.get(key) === value) &&
    matchExpressions.every(meets)
  );
}

/**
 * Formats a selector as the API server expects it: `app=web,tier in (a,b),!old`. Equal selectors give the same text,
 * whatever the order of their parts.
 */
export function formatSelector({ matchLabels = {}, matchExpressions = [] }: LabelSelector): string {
  return [
    ...Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`),
    ...matchExpressions.map(formatRequirement),
  ]
    .sort(compareText)
    .join(',');
}

function formatRequirement({ key, operator, values }: LabelRequirement): string {
  if (operator === 'Exists') return key;
  if (operator === 'DoesNotExist') return `!${key}`;
  const word = operator === 'In' ? 'in' : 'notin';
  return `${key} ${word} (${[...new Set(values)].sort(compareText).join(',')})`;
}

/** Parses the format of `formatSelector`. Returns undefined for another format. Labels contain none of the separators. */
export function parseSelector(text: string): LabelSelector | undefined {
  const labels: [string, string][] = [];
  const requirements: LabelRequirement[] = [];
  for (const part of text.split(/,(?![^(]*\))/)) {
    const [, not, key = '', value, word, list = ''] =
      /^(!?)([^\s=!(),]+)(?:=([^\s=!(),]*)| (in|notin) \(([^\s=!()]*)\))?$/.exec(part) ?? [];
    if (key === '' || (not === '!' && part !== `!${key}`)) return undefined;
    if (value !== undefined) labels.push([key, value]);
    else if (word !== undefined)
      requirements.push({ key, operator: word === 'in' ? 'In' : 'NotIn', values: list.split(',') });
    else requirements.push({ key, operator: not === '!' ? 'DoesNotExist' : 'Exists', values: [] });
  }
  return {
    ...(labels.length === 0 ? {} : { matchLabels: Object.fromEntries(labels) }),
    ...(requirements.length === 0 ? {} : { matchExpressions: requirements }),
  };
}
