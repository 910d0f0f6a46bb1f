/** A validation error of ajv. Its messages and some of its parameters quote the input, so they are not used. */
export interface Violation {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: Readonly<Record<string, unknown>>;
}

const LOCATIONS: Readonly<Record<string, string>> = {
  querystring: 'parameter',
  params: 'part of the URL',
  body: 'member of the body',
};

/** Describes the first violation. The text contains only words of our schemas, and nothing of the input. */
export function validationDetail([first]: readonly Violation[], context: string | undefined): string {
  const location = LOCATIONS[context ?? ''] ?? 'field';
  if (first === undefined) return `a ${location} is not valid`;
  if (first.keyword === 'additionalProperties') return `there is an unknown ${location}`;
  if (first.keyword === 'required')
    return `the ${location} \`${String(first.params.missingProperty)}\` is missing`;
  // The path contains only names of the schema, because unknown names are handled above.
  const name = first.instancePath.slice(1);
  if (name === '' && context === 'body') return 'the body must be a JSON object';
  return name === ''
    ? `a ${location} is not valid`
    : `the ${location} \`${name}\` must ${expectation(first)}`;
}

function expectation({ keyword, params }: Violation): string {
  switch (keyword) {
    case 'type':
      return params.type === 'integer'
        ? 'be an integer'
        : `be of the type ${String(params.type)} and occur once`;
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
      return 'have the form that the API description gives';
  }
}
