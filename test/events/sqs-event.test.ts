import { describe, expect, it } from 'vitest';
import { parseSqsEvent } from '../../src/events/sqs-event.ts';
import { apiCall, arnOf, labelUpdated, REGION, serviceEvent, viaSns } from './aws-events.ts';

const parse = (event: unknown) => parseSqsEvent(JSON.stringify(event), REGION);
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
    expect(parseSqsEvent(body, REGION)).toEqual({ kind: 'malformed' });
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
