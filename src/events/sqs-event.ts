import { isObject, type JsonObject, parseObject } from '../core/json.ts';

// What arrives in a queue that EventBridge fills, directly or through SNS, as the names of keys. Nothing else of a
// message is kept: it is written by others.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/event-detail-secret-label-updated-secretsmanager.html
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/cloudtrail_log_entries.html

export type SqsEvent =
  | {
      readonly kind: 'hint';
      /** The names of one secret: of the event's ARN, and as whoever changed it spelt it. */
      readonly keys: readonly string[];
    }
  /** It tells of no change in the store. */
  | { readonly kind: 'other' }
  | { readonly kind: 'malformed' };

const OTHER: SqsEvent = { kind: 'other' };
const MALFORMED: SqsEvent = { kind: 'malformed' };

/** @param region Of the store: what happens in others is none of its business. */
export function parseSqsEvent(body: string, region: string): SqsEvent {
  const outer = parseObject(body);
  const event = outer?.Type === 'Notification' ? parseObject(outer.Message) : outer;
  if (event === undefined) return MALFORMED;
  const { source, detail } = event;
  const type = event['detail-type'];
  if (typeof source !== 'string' || typeof type !== 'string' || !isObject(detail)) return MALFORMED;
  if (source !== 'aws.secretsmanager' || event.region !== region) return OTHER;
  const isLogged = /via CloudTrail$/.test(type);
  if (isLogged && !tellsOfChange(detail)) return OTHER;
  const candidates = [...arnsIn(event.resources), ...(isLogged ? namesLogged(detail) : [detail.name])];
  const keys = [...new Set(candidates.filter((key) => isKey(key, region)))];
  return keys.length === 0 ? OTHER : { kind: 'hint', keys };
}

/**
 * Our own reads are logged too, and must not make us read again. A call that failed has changed nothing, and a
 * rotation that begins or fails has not yet.
 */
function tellsOfChange({ eventName, readOnly, errorCode }: JsonObject): boolean {
  if (typeof eventName !== 'string' || readOnly === true || isText(errorCode)) return false;
  return !/^(BatchGet|Get|List|Describe|Validate|RotationStarted$|RotationFailed$)/.test(eventName);
}

/** Calls have it in their parameters and answers, services' own events beside them. */
function namesLogged(record: JsonObject): readonly unknown[] {
  const parts = [record.requestParameters, record.responseElements, record.additionalEventData];
  return [
    ...parts
      .filter(isObject)
      .flatMap((part) => [part.secretId, part.SecretId, part.arn, part.aRN, part.name]),
    ...arnsIn(record.resources),
  ];
}

function arnsIn(resources: unknown): readonly unknown[] {
  if (!Array.isArray(resources)) return [];
  return resources.slice(0, MOST_RESOURCES).map((it: unknown) => (isObject(it) ? (it.ARN ?? it.arn) : it));
}

const MOST_RESOURCES = 10;
const NAME = /^[\w/+=.@!-]{1,512}$/;
const ARN = /^arn:aws[\w-]*:secretsmanager:([a-z0-9-]+):\d{12}:secret:([\w/+=.@!-]{1,520})$/;

function isKey(key: unknown, region: string): key is string {
  if (typeof key !== 'string') return false;
  return key.startsWith('arn:') ? ARN.exec(key)?.[1] === region : NAME.test(key);
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}
