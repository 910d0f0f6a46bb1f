import fc from 'fast-check';
import { expect, it } from 'vitest';
import { GRID_KEY, openEventBench, SECRET, sign } from './events-bench.ts';

/** A value that somebody put where none belongs. */
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

it('what an event holds beside names is in no answer and in no line of the log', async () => {
  await using events = await openEventBench();
  const answers: string[] = [];
  const note = (answer: { readonly text: string; readonly headers: object }) =>
    answers.push(answer.text, JSON.stringify(answer.headers));
  for (const body of [
    `{"store":"team-vault","key":"a","value":"${MARKER}"}`,
    `{"store":"${MARKER}","key":"a"}`,
    `{"store":"team-vault","key":{"${MARKER}":1}}`,
    `${MARKER}{`,
    `{"store":"team-vault","key":"${MARKER}"}`,
  ]) {
    note(await events.webhook(body));
    note(await events.webhook(body, { signature: `t=${MARKER},v1=${MARKER}` }));
    note(await events.webhook(body, { signature: sign(body, events.now, MARKER), name: MARKER }));
    note(await events.webhook(body, { signature: sign(body, events.now, MARKER) }));
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
    note(await events.grid(body));
    note(
      await events.grid(body, {
        headers: { 'aeg-sas-key': MARKER, 'content-type': `application/${MARKER}` },
      }),
    );
    note(
      await events.grid(body, { headers: { authorization: MARKER }, query: `?key=${MARKER}&${MARKER}=1` }),
    );
  }
  events.runTimers();
  const said = answers.join('\n') + JSON.stringify(events.bench.log);
  expect(events.took.length).toBeGreaterThan(1);
  for (const secret of [MARKER, SECRET, GRID_KEY]) expect(said).not.toContain(secret);
});

it('whatever is posted, the answer is no fault of ours, and says nothing of it', async () => {
  await using events = await openEventBench({ requests: 1_000_000 });
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
  expect(JSON.stringify(events.bench.log)).not.toContain(MARKER);
});
