import { describe, expect, it } from 'vitest';
import { HEAD, linesOf, loadText } from './memory-fs.ts';

const STORES = `stores:
  - { name: aws, kind: aws-secrets-manager, region: eu-west-1 }
  - { name: ssm, kind: aws-parameter-store, region: eu-west-1 }
  - { name: azure, kind: azure-key-vault, vaultUrl: 'https://contoso.vault.azure.net' }
  - { name: team, kind: vault, address: 'https://vault.internal:8200', auth: { method: kubernetes, role: a } }
  - { name: local, kind: files, path: x }
  - { name: open, kind: aws-secrets-manager, region: eu-west-1, allowHttp: true }
`;
const QUEUE = 'https://sqs.eu-west-1.amazonaws.com/123456789012/rotations';

async function problems(events: string): Promise<readonly string[]> {
  const lines = linesOf(await loadText(`${HEAD}${STORES}events: { ${events} }\n`));
  return lines.map((line) => line.replace(/^\S+ /, ''));
}

describe('event sources', () => {
  it('accepts event sources of each kind', async () => {
    const all = `sqs: [
    { name: eu, queueUrl: '${QUEUE}', store: aws },
    { name: parameters, queueUrl: '${QUEUE}', store: ssm } ],
  eventGrid: [
    { name: contoso, store: azure, key: { env: GRID_KEY } },
    { name: tokens, store: azure, entra: { tenantId: 72f988bf-86f1-41af-91ab-2d7cd011db47, audience: 'api://a' } } ],
  vault: [ { name: vault, store: team } ],
  webhooks: [ { name: ci, stores: [ team, local, aws ], secret: { env: HOOK_SECRET } } ]`;
    expect(await problems(all)).toEqual([]);
  });

  it('requires unique names of event sources across all kinds', async () => {
    const found = await problems(
      `sqs: [ { name: eu, queueUrl: '${QUEUE}', store: aws } ], vault: [ { name: eu, store: team } ]`,
    );
    expect(found).toEqual([
      'events.vault[0].name CONFIG_INVALID: the name `eu` is used twice, first at secretbridge.yaml:10:26',
    ]);
  });

  it.each([
    [
      `sqs: [ { name: a, queueUrl: '${QUEUE}', store: team } ]`,
      'events.sqs[0].store',
      '`aws-secrets-manager` or `aws-parameter-store`, but `team`',
    ],
    [
      'eventGrid: [ { name: a, store: aws, key: { env: K } } ]',
      'events.eventGrid[0].store',
      '`azure-key-vault`, but `aws`',
    ],
    ['vault: [ { name: a, store: azure } ]', 'events.vault[0].store', '`vault`, but `azure`'],
  ])('requires a store of a suitable kind for an event source: %s', async (events, path, kinds) => {
    expect(await problems(events)).toEqual([
      `${path} CONFIG_INVALID: expected a store of kind ${kinds} has another kind`,
    ]);
  });

  it('suggests the name of a store if an event source refers to an unknown store', async () => {
    expect(await problems('webhooks: [ { name: a, stores: [ team, locl ], secret: { env: S } } ]')).toEqual([
      'events.webhooks[0].stores[1] CONFIG_INVALID: there is no store `locl` — did you mean `local`?',
    ]);
    expect(await problems('vault: [ { name: a, store: teem } ]')).toEqual([
      'events.vault[0].store CONFIG_INVALID: there is no store `teem` — did you mean `team`?',
    ]);
  });

  it.each([
    ['http://sqs.eu-west-1.amazonaws.com/123456789012/rotations', 'expected https'],
    ['https://sqs.eu-west-1.amazonaws.com', 'expected the URL of a queue'],
    ['https://sqs.eu-west-1.amazonaws.com/rotations', 'expected the URL of a queue'],
    [`${QUEUE}?Action=ReceiveMessage`, 'expected the URL of a queue'],
    ['arn:aws:sqs:eu-west-1:123456789012:rotations', 'expected an address'],
    ['https://user:pass@sqs.eu-west-1.amazonaws.com/123456789012/rotations', 'expected an address'],
  ])('rejects the queue URL %s', async (queueUrl, message) => {
    const [first = ''] = await problems(`sqs: [ { name: a, queueUrl: '${queueUrl}', store: aws } ]`);
    expect(first).toContain(`events.sqs[0].queueUrl CONFIG_INVALID: ${message}`);
  });

  it.each([
    ['http://127.0.0.1:4566/000000000000/rotations', 'aws'],
    ['http://elasticmq.internal:9324/000000000000/rotations', 'open'],
    ['https://vpce-1-a.sqs.eu-west-1.vpce.amazonaws.com/123456789012/rotations', 'aws'],
  ])('accepts the queue URL %s', async (queueUrl, store) => {
    expect(await problems(`sqs: [ { name: a, queueUrl: '${queueUrl}', store: ${store} } ]`)).toEqual([]);
  });

  it.each([
    ['neither', ''],
    ['both', ", key: { env: K }, entra: { tenantId: 72f988bf-86f1-41af-91ab-2d7cd011db47, audience: 'a' }"],
  ])('requires either a key or tokens for Event Grid, not %s', async (_, proof) => {
    expect(await problems(`eventGrid: [ { name: a, store: azure${proof} } ]`)).toEqual([
      'events.eventGrid[0] CONFIG_INVALID: expected either `key` or `entra`',
    ]);
  });

  it('requires the id of a single tenant for Event Grid', async () => {
    const [first] = await problems(
      "eventGrid: [ { name: a, store: azure, entra: { tenantId: contoso.com, audience: 'a' } } ]",
    );
    expect(first).toMatch(/^events.eventGrid\[0\].entra.tenantId CONFIG_INVALID: .*a tenant id such as/);
  });

  it('accepts only references to credentials in event sources', async () => {
    const found = await problems('webhooks: [ { name: a, stores: [ team ], secret: hunter2 } ]');
    expect(found).toHaveLength(1);
    expect(found[0]).toContain('events.webhooks[0].secret CONFIG_INVALID');
    expect(found[0]).not.toContain('hunter2');
  });
});
