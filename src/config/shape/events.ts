import { z } from 'zod';
import { Reference } from '../../providers/credentials.ts';
import { address, Name } from './fields.ts';

const store = Name.meta({ description: 'The store that the events are about.' });
const hintName = Name.meta({ description: 'Unique name.' });

export const Events = z
  .strictObject({
    sqs: z
      .array(
        z.strictObject({
          name: hintName,
          queueUrl: address().meta({ description: 'URL of the queue.' }),
          store,
        }),
      )
      .default([])
      .meta({ description: 'AWS EventBridge through SQS.' }),
    eventGrid: z
      .array(
        z.strictObject({
          name: hintName,
          store,
          key: Reference.optional().meta({
            description: 'Key of the subscription. Set either this or `entra`.',
          }),
          entra: z
            .strictObject({
              tenantId: z
                .string()
                .regex(/^[0-9a-fA-F-]{36}$/, {
                  error: 'a tenant id such as 00000000-0000-0000-0000-000000000000',
                })
                .meta({ description: 'The tenant (directory) id.' }),
              audience: z
                .string()
                .min(1)
                .meta({
                  description: 'Application id, or its URI, for which the subscription requests tokens.',
                  examples: ['api://secretbridge'],
                }),
            })
            .optional()
            .meta({ description: 'Microsoft Entra tokens instead of a key.' }),
        }),
      )
      .default([])
      .meta({ description: 'Azure Event Grid: POST /events/azure/{name}.' }),
    vault: z
      .array(z.strictObject({ name: hintName, store }))
      .default([])
      .meta({ description: 'Event stream of Vault Enterprise.' }),
    webhooks: z
      .array(
        z.strictObject({
          name: hintName,
          stores: z
            .array(Name)
            .min(1)
            .meta({ description: 'The stores that events of this webhook may name.' }),
          secret: Reference.meta({ description: 'Key that signs the webhooks.' }),
        }),
      )
      .default([])
      .meta({ description: 'Signed webhooks: POST /events/webhook/{name}.' }),
  })
  .meta({ title: 'Events', description: 'Change events from stores, which make changes arrive sooner.' });
