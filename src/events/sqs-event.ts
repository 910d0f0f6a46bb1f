import { isObject, type JsonObject, parseObject } from '../core/json.ts';

// Extracts key names from EventBridge messages, which arrive directly or through SNS. Ignores the rest of a message,
// which is untrusted input.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/event-detail-secret-label-updated-secretsmanager.html
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/cloudtrail_log_entries.html

export type SqsEvent =
  | {
      readonly kind: 'hint';
      /** The names of one secret: the name in the event's ARN, and the name that the caller of the API used. */
      readonly keys: readonly string[];
    }
  /** The event is not about a change in this store. */
  | { readonly kind: 'other' }
  | { readonly kind: 'malformed' };

const IGNORED: SqsEvent = { kind: 'other' };
const MALFORMED: SqsEvent = { kind: 'malformed' };

/** @param region The region of the store. Events of other regions are ignored. */
export function parseSqsEvent(body: string, region: string): SqsEvent {
  const outer = parseObject(body);
  const event = outer?.Type === 'Notification' ? parseObject(outer.Message) : outer;
  if (event === undefined) return MALFORMED;
  const { source, detail } = event;
  const type = event['detail-type'];
  if (typeof source !== 'string' || typeof type !== 'string' || !isObject(detail)) return MALFORMED;
  if (source !== 'aws.secretsmanager' || event.region !== region) return IGNORED;
  const isCloudTrail = /via CloudTrail$/.test(type);
  if (isCloudTrail && !isChange(detail)) return IGNORED;
  const candidates = [...arnsIn(event.resources), ...(isCloudTrail ? loggedNames(detail) : [detail.name])];
  const keys = [...new Set(candidates.filter((key) => isKey(key, region)))];
  return keys.length === 0 ? IGNORED : { kind: 'hint', keys };
}

/**
 * CloudTrail also logs our own reads, which must not trigger new reads. Failed calls, and rotations that started or
 * failed, have not changed anything. So ignore all of these events.
 */
function isChange({ eventName, readOnly, errorCode }: JsonObject): boolean {
  if (typeof eventName !== 'string' || readOnly === true || isNonEmptyText(errorCode)) return false;
  return !/^(BatchGet|Get|List|Describe|Validate|RotationStarted$|RotationFailed$)/.test(eventName);
}

/**
 * Returns the names of the secret in a CloudTrail record. The record of an API call contains a name in its parameters
 * and response. The record of a service event contains a name in its additional data.
 */
function loggedNames(record: JsonObject): readonly unknown[] {
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
  return resources
    .slice(0, MAX_RESOURCES)
    .map((resource: unknown) => (isObject(resource) ? (resource.ARN ?? resource.arn) : resource));
}

const MAX_RESOURCES = 10;
const NAME = /^[\w/+=.@!-]{1,512}$/;
const ARN = /^arn:aws[\w-]*:secretsmanager:([a-z0-9-]+):\d{12}:secret:([\w/+=.@!-]{1,520})$/;

function isKey(key: unknown, region: string): key is string {
  if (typeof key !== 'string') return false;
  return key.startsWith('arn:') ? ARN.exec(key)?.[1] === region : NAME.test(key);
}

function isNonEmptyText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}
