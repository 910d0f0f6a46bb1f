/** As ajv reports it. Its messages and some of its parameters quote the input, and so are not used. */
export interface Violation {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: Readonly<Record<string, unknown>>;
}

const PLACES: Readonly<Record<string, string>> = {
  querystring: 'parameter',
  params: 'part of the address',
  body: 'member of the body',
};

/** What was expected where, in words that come from our schemas alone. */
export function validationDetail([first]: readonly Violation[], context: string | undefined): string {
  const place = PLACES[context ?? ''] ?? 'field';
  if (first === undefined) return `a ${place} is not valid`;
  if (first.keyword === 'additionalProperties') return `there is a ${place} that is not known`;
  if (first.keyword === 'required')
    return `the ${place} \`${String(first.params.missingProperty)}\` is missing`;
  // The path has names of our schemas only: a name that is not known ends at the line above.
  const name = first.instancePath.slice(1);
  if (name === '' && context === 'body') return 'the body must be a JSON object';
  return name === '' ? `a ${place} is not valid` : `the ${place} \`${name}\` must ${expectation(first)}`;
}

function expectation({ keyword, params }: Violation): string {
  switch (keyword) {
    case 'type':
      return params.type === 'integer' ? 'be a whole number' : `be of the type ${String(params.type)}, once`;
    case 'minimum':
      return `be at least ${String(params.limit)}`;
    case 'maximum':
      return `be at most ${String(params.limit)}`;
    case 'minLength':
    case 'maxLength':
      return `have ${keyword === 'minLength' ? 'at least' : 'at most'} ${String(params.limit)} characters`;
    case 'enum':
      return `be one of ${Array.isArray(params.allowedValues) ? params.allowedValues.join(', ') : 'those described'}`;
    default:
      return 'have the form that the description of the API gives';
  }
}
