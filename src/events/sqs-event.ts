import { isObject, type JsonObject, parseObject } from '../core/json.ts';

// Extracts key names from EventBridge messages, which arrive directly or through SNS. Ignores the rest of a message,
// which is untrusted input.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/event-detail-secret-label-updated-secretsmanager.html
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/cloudtrail_log_entries.html
// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-cwe.html

/** The store whose events are expected. Events of other services and regions are ignored. */
export interface EventStore {
  readonly kind: 'aws-secrets-manager' | 'aws-parameter-store';
  readonly region: string;
}

export type SqsEvent =
  | {
      readonly kind: 'hint';
      /** The names of one secret or parameter: the name in the event's ARN, and the name that the caller used. */
      readonly keys: readonly string[];
    }
  /** The event is not about a change in this store. */
  | { readonly kind: 'other' }
  | { readonly kind: 'malformed' };

const IGNORED: SqsEvent = { kind: 'other' };
const MALFORMED: SqsEvent = { kind: 'malformed' };

export function parseSqsEvent(body: string, { kind, region }: EventStore): SqsEvent {
  const outer = parseObject(body);
  const event = outer?.Type === 'Notification' ? parseObject(outer.Message) : outer;
  if (event === undefined) return MALFORMED;
  const { source, detail } = event;
  const type = event['detail-type'];
  if (typeof source !== 'string' || typeof type !== 'string' || !isObject(detail)) return MALFORMED;
  const service = SERVICES[kind];
  if (source !== service.source || event.region !== region) return IGNORED;
  const candidates = service.namesIn(type, detail, arnsIn(event.resources));
  const keys = [...new Set(candidates.filter((key) => isKey(key, service, region)))];
  return keys.length === 0 ? IGNORED : { kind: 'hint', keys };
}

interface Service {
  /** The member `source` of its events. */
  readonly source: string;
  readonly name: RegExp;
  readonly arn: RegExp;
  /** Returns the names in an event, or an empty list if the event reports no change. */
  namesIn(type: string, detail: JsonObject, arns: readonly unknown[]): readonly unknown[];
}

const SERVICES: Readonly<Record<EventStore['kind'], Service>> = {
  'aws-secrets-manager': {
    source: 'aws.secretsmanager',
    name: /^[\w/+=.@!-]{1,512}$/,
    arn: /^arn:aws[\w-]*:secretsmanager:([a-z0-9-]+):\d{12}:secret:([\w/+=.@!-]{1,520})$/,
    namesIn(type, detail, arns) {
      if (!/via CloudTrail$/.test(type)) return [...arns, detail.name];
      return isChange(detail) ? [...arns, ...loggedNames(detail)] : [];
    },
  },
  'aws-parameter-store': {
    source: 'aws.ssm',
    name: /^[\w/.-]{1,1011}$/,
    arn: /^arn:aws[\w-]*:ssm:([a-z0-9-]+):\d{12}:parameter\/[\w/.-]{1,1011}$/,
    // A policy action may be the expiration of a parameter, which deletes it.
    namesIn(type, detail, arns) {
      if (!/^Parameter Store (Change|Policy Action)$/.test(type)) return [];
      return [...arns, detail.name, detail['parameter-name']];
    },
  },
};

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

function isKey(key: unknown, { name, arn }: Service, region: string): key is string {
  if (typeof key !== 'string') return false;
  return key.startsWith('arn:') ? arn.exec(key)?.[1] === region : name.test(key);
}

function isNonEmptyText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}
