import fc from 'fast-check';
import { expect, it } from 'vitest';
import { GRID_KEY, SECRET, sign, startEventTestServer } from './events-harness.ts';

/** A value where none belongs. */
const MARKER = 'mArKeR-5f1d';

const EVENT = {
  id: 'x',
  topic: MARKER,
  subject: MARKER,
  eventType: 'Microsoft.KeyVault.SecretNewVersionCreated',
  data: {
    Id: 'https://contoso.vault.azure.net/secrets/a/1',
    VaultName: 'contoso',
    ObjectName: 'a',
    Value: MARKER,
    [MARKER]: MARKER,
  },
};

it('no response and no log line contains event data other than names', async () => {
  await using events = await startEventTestServer();
  const answers: string[] = [];
  const record = (answer: { readonly text: string; readonly headers: object }) =>
    answers.push(answer.text, JSON.stringify(answer.headers));
  for (const body of [
    `{"store":"team-vault","key":"a","value":"${MARKER}"}`,
    `{"store":"${MARKER}","key":"a"}`,
    `{"store":"team-vault","key":{"${MARKER}":1}}`,
    `${MARKER}{`,
    `{"store":"team-vault","key":"${MARKER}"}`,
  ]) {
    record(await events.webhook(body));
    record(await events.webhook(body, { signature: `t=${MARKER},v1=${MARKER}` }));
    record(await events.webhook(body, { signature: sign(body, events.now, MARKER), name: MARKER }));
    record(await events.webhook(body, { signature: sign(body, events.now, MARKER) }));
  }
  for (const body of [
    [EVENT],
    { ...EVENT.data, specversion: '1.0', type: MARKER, data: MARKER },
    MARKER,
    [
      {
        ...EVENT,
        eventType: 'Microsoft.EventGrid.SubscriptionValidationEvent',
        data: { validationCode: `${MARKER} ` },
      },
    ],
  ]) {
    record(await events.grid(body));
    record(
      await events.grid(body, {
        headers: { 'aeg-sas-key': MARKER, 'content-type': `application/${MARKER}` },
      }),
    );
    record(
      await events.grid(body, { headers: { authorization: MARKER }, query: `?key=${MARKER}&${MARKER}=1` }),
    );
  }
  events.runTimers();
  const output = answers.join('\n') + JSON.stringify(events.api.log);
  expect(events.submissions.length).toBeGreaterThan(1);
  for (const secret of [MARKER, SECRET, GRID_KEY]) expect(output).not.toContain(secret);
});

it('any request body gets a response below 500 that does not echo it', async () => {
  await using events = await startEventTestServer({ requests: 1_000_000 });
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.json(),
    fc.constantFrom('[', '\0', '{}', '[{}]'),
  );
  const header = fc.string({ maxLength: 40 }).map((raw) => raw.replace(/[^ -~]/g, ''));
  await fc.assert(
    fc.asyncProperty(text, header, fc.boolean(), async (body, signature, signed) => {
      const marked = `${body}${MARKER}`;
      const hook = await events.webhook(marked, { signature: signed ? sign(marked, events.now) : signature });
      const grid = await events.grid(marked, {
        headers: { 'content-type': signature, 'aeg-sas-key': signed ? GRID_KEY : signature },
      });
      for (const { status, text: answer } of [hook, grid]) {
        expect(status).toBeLessThan(500);
        expect(answer).not.toContain(MARKER);
      }
    }),
    { numRuns: 150 },
  );
  expect(JSON.stringify(events.api.log)).not.toContain(MARKER);
});
