import { toAppError } from '../core/errors.ts';

/**
 * All that a log line may say besides its constant message: names, counts and codes. A new field is a decision
 * made here, in view of everyone, and not at the place that happens to log.
 */
const FIELDS = {
  requestId: 'string',
  mapping: 'string',
  namespace: 'string',
  /** The name of a Kubernetes Secret. */
  secret: 'string',
  store: 'string',
  kind: 'string',
  /** The name of something in a store. */
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
  /** Anything thrown: becomes its code and our own sentence, and for a fault of ours the places in the code. */
  readonly error?: unknown;
};

const MAX_LENGTH = 2048;

export type PlainFields = Readonly<Record<string, string | number | readonly string[]>>;

/** What of the fields may be written, in the order of the list above; the compiler is not there at run time. */
export function allowedFields(fields: LogFields): PlainFields {
  const plain: Record<string, string | number | readonly string[]> = {};
  const given = new Map<string, unknown>(Object.entries(fields));
  for (const [name, type] of Object.entries(FIELDS)) {
    const value = given.get(name);
    if (typeof value === 'string' && type === 'string')
      plain[name] = value.slice(0, MAX_LENGTH).toWellFormed();
    if (typeof value === 'number' && type === 'number') plain[name] = value;
  }
  return fields.error === undefined ? plain : { ...plain, ...errorFields(fields.error) };
}

function errorFields(thrown: unknown): PlainFields {
  const error = toAppError(thrown);
  const fields = { code: error.code, error: error.message };
  return error.code === 'INTERNAL' ? { ...fields, at: placesOf(error.cause ?? error) } : fields;
}

/** `file.ts:12:3` of the innermost calls: without them nobody could mend it, and no message or value is in them. */
function placesOf(thrown: unknown): readonly string[] {
  if (!(thrown instanceof Error) || thrown.stack === undefined) return [];
  const { stack, message } = thrown;
  const start = stack.indexOf(message);
  // The message may hold anything, lines that look like places included.
  if (start === -1) return [];
  const places = stack.slice(start + message.length).matchAll(/^\s+at .*?([\w.-]+:\d+:\d+)\)?$/gm);
  return Array.from(places, ([, place = '']) => place).slice(0, 6);
}
