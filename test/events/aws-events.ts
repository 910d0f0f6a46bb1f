export const REGION = 'eu-west-1';
export const ACCOUNT = '123456789012';

export function arnOf(name: string, region = REGION): string {
  return `arn:aws:secretsmanager:${region}:${ACCOUNT}:secret:${name}-AbC123`;
}

/** Wraps an event in the EventBridge envelope. */
function envelope(type: string, detail: object, part: object = {}): object {
  return {
    version: '0',
    id: '6a7e8feb-b491-4cf7-a9f1-bf3703467718',
    'detail-type': type,
    source: 'aws.secretsmanager',
    account: ACCOUNT,
    time: '2026-02-06T16:43:48Z',
    region: REGION,
    resources: [],
    detail,
    ...part,
  };
}

/** Returns an event that Secrets Manager itself emits. */
export function labelUpdated(name: string, part: object = {}): object {
  const detail = { name, labelUpdated: 'AWSCURRENT', versionId: 'a1b2c3d4-5678-90ab-cdef-EXAMPLE11111' };
  return envelope('Secret Label Updated', detail, { resources: [arnOf(name)], ...part });
}

/** Returns a CloudTrail event for an API call. */
export function apiCall(eventName: string, record: object, part: object = {}): object {
  const detail = {
    eventVersion: '1.08',
    eventSource: 'secretsmanager.amazonaws.com',
    eventName,
    awsRegion: REGION,
    readOnly: false,
    eventType: 'AwsApiCall',
    ...record,
  };
  return envelope('AWS API Call via CloudTrail', detail, part);
}

/** Returns a CloudTrail event for a service action. */
export function serviceEvent(eventName: string, record: object): object {
  const detail = {
    eventVersion: '1.08',
    eventSource: 'secretsmanager.amazonaws.com',
    eventName,
    awsRegion: REGION,
    requestParameters: null,
    responseElements: null,
    eventType: 'AwsServiceEvent',
    ...record,
  };
  return envelope('AWS Service Event via CloudTrail', detail);
}

/** Returns a message that was delivered through SNS without raw delivery. */
export function viaSns(event: object): object {
  return { Type: 'Notification', MessageId: 'm', TopicArn: 'arn:aws:sns:x', Message: JSON.stringify(event) };
}

export function parameterArn(name: string, region = REGION): string {
  return `arn:aws:ssm:${region}:${ACCOUNT}:parameter/${name.replace(/^\//, '')}`;
}

/** Returns an event that Parameter Store emits after a change. */
export function parameterChanged(name: string, operation: string, part: object = {}): object {
  const detail = { name, operation, type: 'SecureString', description: 'a parameter' };
  const resources = [parameterArn(name)];
  return envelope('Parameter Store Change', detail, { source: 'aws.ssm', resources, ...part });
}

/** Returns an event that Parameter Store emits when the policy of a parameter takes effect. */
export function policyAction(name: string, policy: string): object {
  const detail = {
    'policy-type': policy,
    'parameter-name': name,
    'parameter-type': 'SecureString',
    'action-status': 'Success',
  };
  const resources = [parameterArn(name)];
  return envelope('Parameter Store Policy Action', detail, { source: 'aws.ssm', resources });
}
