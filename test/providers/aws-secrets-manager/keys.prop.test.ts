import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkKey, findEntry, matchesKey } from '../../../src/providers/aws-secrets-manager/keys.ts';
import { AwsStore } from '../../fakes/aws-store.ts';

const REGION = 'eu-west-1';
const ARN = `arn:aws:secretsmanager:${REGION}:123456789012:secret:`;
/** Names that are easy to confuse, because some of them end like an ARN. */
const name = fc.constantFrom('n', 'n-abcdef', 'n-abcdef-abcdef', 'n-ABCDE1', 'n/x', 'n/x-abcdef', 'm');

describe('the keys of an AWS store', () => {
  it('rejects a key that contains a `.` or `..` segment', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: fc.constantFrom('.', '/', 'a', '\n') })),
        (key) => {
          let isAccepted: boolean;
          try {
            checkKey(key, REGION);
            isAccepted = true;
          } catch (error) {
            expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
            isAccepted = false;
          }
          if (isAccepted) expect(key).toMatch(/^[\w/+=.@!-]{1,512}$/);
          if (isAccepted) for (const segment of ['.', '..']) expect(key.split('/')).not.toContain(segment);
        },
      ),
    );
  });

  it('finds the right entry for a key in a response, whatever other entries the response contains', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(name, { minLength: 1, maxLength: 6 }),
        fc.nat(),
        fc.constantFrom(0, 1, 2),
        (names, at, form) => {
          const store = new AwsStore(REGION, '123456789012');
          const secrets = names.map((secretName) => store.put(secretName, 'x', { suffix: 'abcdef' }));
          const { name: wantedName, arn } = secrets[at % secrets.length] ?? { name: '', arn: '' };
          const key = [wantedName, arn, `${ARN}${wantedName}`][form] ?? '';
          const expectedSecret = store.get(key);
          const entries = secrets.map((secret) => ({ ARN: secret.arn, Name: secret.name }));
          const entry = findEntry(key, entries);
          expect(entry?.ARN).toBe(expectedSecret?.arn);
          if (entry !== undefined) expect(matchesKey(key, entry)).toBe(true);
        },
      ),
    );
  });

  it('never takes the entry of another secret for the entry of a key', () => {
    fc.assert(
      fc.property(name, name, (one, other) => {
        fc.pre(one !== other);
        const entry = { ARN: `${ARN}${other}-zzzzzz`, Name: other };
        for (const key of [one, `${ARN}${one}`, `${ARN}${one}-yyyyyy`])
          expect(matchesKey(key, entry)).toBe(false);
      }),
    );
  });
});
