import { describe, expect, vi } from 'vitest';
import { startSqsIntake } from '../../../src/events/sqs.ts';
import { openMessageQueue } from '../../../src/providers/aws/queue.ts';
import { silentLogger } from '../../../src/telemetry/logger.ts';
import { testDeps } from '../../conformance/provider-deps.ts';
import { startSqsServer } from '../../fakes/sqs-server.ts';
import { parse } from '../../providers/aws-secrets-manager/harness.ts';
import { labelUpdated, REGION, viaSns } from '../aws-events.ts';
import { describeChaos, STORE } from '../chaos.ts';

const ENV = { KEY_ID: 'AKIATEST', SECRET_KEY: 'secret', AWS_EC2_METADATA_DISABLED: 'true' };

describe('SQS events under random faults', () => {
  describeChaos(
    'SQS with two receivers',
    async (take) => {
      const server = await startSqsServer();
      // A short visibility timeout: a message that could not be removed is delivered again within the test.
      server.hiddenMs = 2_000;
      const open = () => openMessageQueue(parse({}), server.queueUrl, testDeps({ env: ENV }));
      // A small fixed jitter. With the usual jitter, the longest wait after several losses in a row would be half a
      // minute.
      const random = () => 0.2;
      const start = (name: string) =>
        startSqsIntake(
          {
            name,
            store: STORE,
            events: { kind: 'aws-secrets-manager', region: REGION },
            open,
            logger: silentLogger,
            random,
          },
          { submit: take, onSkipped: () => undefined, onProgress: () => undefined },
        );
      const intakes = [start('one'), start('two')];
      let sent = 0;
      return {
        deliver(key) {
          sent += 1;
          const event = labelUpdated(key);
          server.send(JSON.stringify(sent % 3 === 0 ? viaSns(event) : event));
          if (sent % 50 === 0) server.send('no event');
          // Some responses are lost.
          if (sent % 100 === 0) server.faults.push('reset');
        },
        drained: () => vi.waitFor(() => expect(server.size).toBe(Math.floor(sent / 50)), { timeout: 20_000 }),
        async [Symbol.asyncDispose]() {
          await Promise.all(intakes.map((intake) => intake[Symbol.asyncDispose]()));
          await server[Symbol.asyncDispose]();
        },
      };
    },
    [3, 4],
  );
});
