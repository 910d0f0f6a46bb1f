import { describe, expect, it } from 'vitest';
import { parseSqsEvent } from '../../src/events/sqs-event.ts';
import { apiCall, arnOf, labelUpdated, REGION, serviceEvent, viaSns } from './aws-events.ts';

const parse = (event: unknown) => parseSqsEvent(JSON.stringify(event), REGION);
const ARN = arnOf('db');

describe('an event of Secrets Manager', () => {
  it.each([
    ['its own, of a label', labelUpdated('db'), [ARN, 'db']],
    ['the same through SNS', viaSns(labelUpdated('db')), [ARN, 'db']],
    [
      'a call that puts a value',
      apiCall('PutSecretValue', { requestParameters: { secretId: 'db' }, responseElements: { arn: ARN } }),
      ['db', ARN],
    ],
    [
      'a call by ARN',
      apiCall('UpdateSecret', { requestParameters: { secretId: ARN }, responseElements: null }),
      [ARN],
    ],
    [
      'a call by a part of the ARN',
      apiCall('UpdateSecretVersionStage', { requestParameters: { secretId: ARN.slice(0, -7) } }),
      [ARN.slice(0, -7)],
    ],
    [
      'a call with the old spelling of the answer',
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
      'a rotation that has ended',
      serviceEvent('RotationSucceeded', { additionalEventData: { SecretId: ARN } }),
      [ARN],
    ],
    [
      'one that names it under resources',
      serviceEvent('RotationSucceeded', { resources: [{ ARN, type: 'AWS::SecretsManager::Secret' }] }),
      [ARN],
    ],
    [
      'of a secret of another account',
      apiCall('UpdateSecret', {
        requestParameters: { secretId: ARN.replace('123456789012', '999999999999') },
      }),
      [ARN.replace('123456789012', '999999999999')],
    ],
    [
      'in a Chinese region',
      labelUpdated('db', { resources: [ARN.replace('arn:aws:', 'arn:aws-cn:')] }),
      [ARN.replace('arn:aws:', 'arn:aws-cn:'), 'db'],
    ],
  ])('gives the names of its secret: %s', (_, event, keys) => {
    expect(parse(event)).toEqual({ kind: 'hint', keys });
  });

  it.each([
    [
      'a read, such as our own',
      apiCall('GetSecretValue', { readOnly: true, requestParameters: { secretId: 'db' } }),
    ],
    ['a read that is not marked', apiCall('BatchGetSecretValue', { requestParameters: { secretId: 'db' } })],
    [
      'a call that failed',
      apiCall('PutSecretValue', { errorCode: 'AccessDenied', requestParameters: { secretId: 'db' } }),
    ],
    ['a rotation that begins', serviceEvent('RotationStarted', { additionalEventData: { SecretId: ARN } })],
    ['in another region', labelUpdated('db', { region: 'us-east-1' })],
    ['of a secret in another region', labelUpdated('', { resources: [arnOf('db', 'us-east-1')] })],
    ['of another service', labelUpdated('db', { source: 'aws.s3' })],
    ['without a name', apiCall('UpdateSecret', { requestParameters: null })],
    [
      'with what is no name',
      apiCall('UpdateSecret', { requestParameters: { secretId: 'no name; a value?' } }),
    ],
    [
      'with a name that is too long',
      apiCall('UpdateSecret', { requestParameters: { secretId: 'x'.repeat(600) } }),
    ],
  ])('tells of no change: %s', (_, event) => {
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
  ])('is not in this: %.40s', (body) => {
    expect(parseSqsEvent(body, REGION)).toEqual({ kind: 'malformed' });
  });

  it('gives nothing but names, whatever else is in it', () => {
    const event = apiCall('PutSecretValue', {
      requestParameters: { secretId: 'db', secretString: 'MARKER value' },
      responseElements: { arn: ARN, name: { of: 'MARKER' }, note: 'MARKER' },
      additionalEventData: { SecretId: ['MARKER'] },
    });
    expect(JSON.stringify(parse(event))).not.toContain('MARKER');
  });
});
