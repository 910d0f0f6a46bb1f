import { toAppError } from '../core/errors.ts';

/**
 * An allow-list of the fields that a log line may have besides its constant message: names, counts and codes. Each new
 * field must be added here on purpose.
 */
const FIELDS = {
  requestId: 'string',
  mapping: 'string',
  namespace: 'string',
  /** The name of a Kubernetes Secret. */
  secret: 'string',
  store: 'string',
  kind: 'string',
  /** The name of a key in a secret store. */
  key: 'string',
  version: 'string',
  action: 'string',
  outcome: 'string',
  reason: 'string',
  code: 'string',
  phase: 'string',
  state: 'string',
  instance: 'string',
  replica: 'string',
  address: 'string',
  port: 'number',
  path: 'string',
  line: 'number',
  column: 'number',
  method: 'string',
  status: 'number',
  signal: 'string',
  name: 'string',
  durationMs: 'number',
  waitMs: 'number',
  attempt: 'number',
  sequence: 'number',
  count: 'number',
  created: 'number',
  updated: 'number',
  deleted: 'number',
  unchanged: 'number',
  refused: 'number',
  held: 'number',
  failed: 'number',
} as const;

type Fields = typeof FIELDS;

export type LogFields = {
  readonly [Name in keyof Fields]?: (Fields[Name] extends 'string' ? string : number) | undefined;
} & {
  /**
   * Any thrown value. The log contains the value's error code and our own message, and for internal errors also stack
   * locations.
   */
  readonly error?: unknown;
};

const MAX_LENGTH = 2048;

export type PlainFields = Readonly<Record<string, string | number | readonly string[]>>;

/**
 * Returns the allowed fields, in the order of the allow-list. Fields are checked at run time, because types do not
 * exist then.
 */
export function allowedFields(fields: LogFields): PlainFields {
  const plain: Record<string, string | number | readonly string[]> = {};
  const values = new Map<string, unknown>(Object.entries(fields));
  for (const [name, type] of Object.entries(FIELDS)) {
    const value = values.get(name);
    if (typeof value === 'string' && type === 'string')
      plain[name] = value.slice(0, MAX_LENGTH).toWellFormed();
    if (typeof value === 'number' && type === 'number') plain[name] = value;
  }
  return fields.error === undefined ? plain : { ...plain, ...errorFields(fields.error) };
}

function errorFields(thrown: unknown): PlainFields {
  const error = toAppError(thrown);
  const fields = { code: error.code, error: error.message };
  return error.code === 'INTERNAL' ? { ...fields, at: stackLocations(error.cause ?? error) } : fields;
}

/**
 * Returns the innermost stack locations, such as `file.ts:12:3`. Stack locations are needed to debug internal errors,
 * and contain no message or value.
 */
function stackLocations(thrown: unknown): readonly string[] {
  if (!(thrown instanceof Error) || thrown.stack === undefined) return [];
  const { stack, message } = thrown;
  const start = stack.indexOf(message);
  // Skip the message, which can contain any text, even lines that look like stack locations.
  if (start === -1) return [];
  const locations = stack.slice(start + message.length).matchAll(/^\s+at .*?([\w.-]+:\d+:\d+)\)?$/gm);
  return Array.from(locations, ([, location = '']) => location).slice(0, 6);
}
