import { describe, expect, it } from 'vitest';
import { type EventStore, parseSqsEvent } from '../../src/events/sqs-event.ts';
import {
  apiCall,
  arnOf,
  labelUpdated,
  parameterArn,
  parameterChanged,
  policyAction,
  REGION,
  serviceEvent,
  viaSns,
} from './aws-events.ts';

const SECRETS = { kind: 'aws-secrets-manager', region: REGION } as const;
const PARAMETERS = { kind: 'aws-parameter-store', region: REGION } as const;
const parse = (event: unknown, store: EventStore = SECRETS) => parseSqsEvent(JSON.stringify(event), store);
const ARN = arnOf('db');

describe('a Secrets Manager event', () => {
  it.each([
    ['a label update', labelUpdated('db'), [ARN, 'db']],
    ['a label update through SNS', viaSns(labelUpdated('db')), [ARN, 'db']],
    [
      'a PutSecretValue call',
      apiCall('PutSecretValue', { requestParameters: { secretId: 'db' }, responseElements: { arn: ARN } }),
      ['db', ARN],
    ],
    [
      'a call by ARN',
      apiCall('UpdateSecret', { requestParameters: { secretId: ARN }, responseElements: null }),
      [ARN],
    ],
    [
      'a call by a partial ARN',
      apiCall('UpdateSecretVersionStage', { requestParameters: { secretId: ARN.slice(0, -7) } }),
      [ARN.slice(0, -7)],
    ],
    [
      'a response with the old spelling of arn',
      apiCall('TagResource', { requestParameters: { secretId: 'db' }, responseElements: { aRN: ARN } }),
      ['db', ARN],
    ],
    [
      'a new secret',
      apiCall('CreateSecret', {
        requestParameters: { name: 'db' },
        responseElements: { arn: ARN, name: 'db' },
      }),
      ['db', ARN],
    ],
    ['a deletion', apiCall('DeleteSecret', { requestParameters: { secretId: 'db' } }), ['db']],
    [
      'a completed rotation',
      serviceEvent('RotationSucceeded', { additionalEventData: { SecretId: ARN } }),
      [ARN],
    ],
    [
      'a service event with resources',
      serviceEvent('RotationSucceeded', { resources: [{ ARN, type: 'AWS::SecretsManager::Secret' }] }),
      [ARN],
    ],
    [
      'a secret of another account',
      apiCall('UpdateSecret', {
        requestParameters: { secretId: ARN.replace('123456789012', '999999999999') },
      }),
      [ARN.replace('123456789012', '999999999999')],
    ],
    [
      'a Chinese region',
      labelUpdated('db', { resources: [ARN.replace('arn:aws:', 'arn:aws-cn:')] }),
      [ARN.replace('arn:aws:', 'arn:aws-cn:'), 'db'],
    ],
  ])('a Secrets Manager event contains the names of its secret: %s', (_, event, keys) => {
    expect(parse(event)).toEqual({ kind: 'hint', keys });
  });

  it.each([
    [
      'a read, such as our own',
      apiCall('GetSecretValue', { readOnly: true, requestParameters: { secretId: 'db' } }),
    ],
    ['a read without readOnly', apiCall('BatchGetSecretValue', { requestParameters: { secretId: 'db' } })],
    [
      'a call that failed',
      apiCall('PutSecretValue', { errorCode: 'AccessDenied', requestParameters: { secretId: 'db' } }),
    ],
    ['a started rotation', serviceEvent('RotationStarted', { additionalEventData: { SecretId: ARN } })],
    ['an event of another region', labelUpdated('db', { region: 'us-east-1' })],
    ['a secret of another region', labelUpdated('', { resources: [arnOf('db', 'us-east-1')] })],
    ['another service', labelUpdated('db', { source: 'aws.s3' })],
    ['no name', apiCall('UpdateSecret', { requestParameters: null })],
    ['an invalid name', apiCall('UpdateSecret', { requestParameters: { secretId: 'no name; a value?' } })],
    [
      'a name that is too long',
      apiCall('UpdateSecret', { requestParameters: { secretId: 'x'.repeat(600) } }),
    ],
  ])('a Secrets Manager event is ignored if it reports no change of the store: %s', (_, event) => {
    expect(parse(event)).toEqual({ kind: 'other' });
  });

  it.each([
    '',
    'hello',
    '[]',
    'null',
    '42',
    '{}',
    '{"source":"aws.secretsmanager"}',
    JSON.stringify({ ...labelUpdated('db'), detail: 'text' }),
    JSON.stringify({ Type: 'Notification', Message: 'hello' }),
    JSON.stringify({ Type: 'Notification', Message: { source: 'aws.secretsmanager' } }),
    `${'['.repeat(20_000)}`,
  ])('a message that is not a valid event is malformed: %.40s', (body) => {
    for (const store of [SECRETS, PARAMETERS])
      expect(parseSqsEvent(body, store)).toEqual({ kind: 'malformed' });
  });

  it('a Secrets Manager event yields only names, and the rest of the event is discarded', () => {
    const event = apiCall('PutSecretValue', {
      requestParameters: { secretId: 'db', secretString: 'MARKER value' },
      responseElements: { arn: ARN, name: { of: 'MARKER' }, note: 'MARKER' },
      additionalEventData: { SecretId: ['MARKER'] },
    });
    expect(JSON.stringify(parse(event))).not.toContain('MARKER');
  });
});

describe('a Parameter Store event', () => {
  it.each([
    ['a new value', parameterChanged('/app/db', 'Update'), [parameterArn('/app/db'), '/app/db']],
    ['a new parameter through SNS', viaSns(parameterChanged('db', 'Create')), [parameterArn('db'), 'db']],
    ['a deletion', parameterChanged('/app/db', 'Delete'), [parameterArn('/app/db'), '/app/db']],
    ['a moved label', parameterChanged('db', 'LabelParameterVersion'), [parameterArn('db'), 'db']],
    ['an expiration', policyAction('/app/db', 'Expiration'), [parameterArn('/app/db'), '/app/db']],
    ['an event without an ARN', parameterChanged('/app/db', 'Update', { resources: [] }), ['/app/db']],
  ])('a Parameter Store event contains the names of its parameter: %s', (_, event, keys) => {
    expect(parse(event, PARAMETERS)).toEqual({ kind: 'hint', keys });
  });

  it.each([
    ['an event of another region', parameterChanged('db', 'Update', { region: 'us-east-1' })],
    [
      'a name in another region',
      parameterChanged('', 'Update', { resources: [parameterArn('db', 'us-east-1')] }),
    ],
    [
      'another event of Systems Manager',
      parameterChanged('db', 'Update', { 'detail-type': 'EC2 Command Status-change' }),
    ],
    ['an invalid name', parameterChanged('no name; a value?', 'Update', { resources: [] })],
    ['a secret', labelUpdated('db')],
  ])('a Parameter Store event is ignored if it reports no change of the store: %s', (_, event) => {
    expect(parse(event, PARAMETERS)).toEqual({ kind: 'other' });
  });

  it('a store of Secrets Manager ignores the events of Parameter Store', () => {
    expect(parse(parameterChanged('db', 'Update'))).toEqual({ kind: 'other' });
  });
});
