import { describe, expect, it } from 'vitest';
import { CREDENTIAL_SHAPES, findSuspects } from '../../src/core/credential-shapes.ts';
import { createScrubber } from '../../src/telemetry/scrub.ts';

/** Examples are built at run time, so that no file in this repository contains text that looks like a credential. */
const text = (length: number) => 'aB3dE5gH7jK9mN2pQ4sT6vW8yZ'.repeat(4).slice(0, length);

/** The examples, by the description of their shape. The test fails for a shape without examples. */
const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  'a private key': [
    `-----BEGIN ${'PRIVATE'} KEY-----\n${text(64)}\n-----END ${'PRIVATE'} KEY-----`,
    `-----BEGIN RSA ${'PRIVATE'} KEY-----\nDEK-Info: AES-128-CBC,0A\n\n${text(64)}\n-----END RSA ${'PRIVATE'} KEY-----`,
    `-----BEGIN EC ${'PRIVATE'} KEY-----\n${text(64)}`,
  ],
  'a Vault token': [`hvs.${text(90)}`, `hvb.${text(90)}`, `s.${text(24)}`],
  'an AWS access key ID': [`AKIA${'ABCDEFGH234567MN'}`, `ASIA${'ABCDEFGH234567MN'}`],
  'a JSON Web Token': [`eyJ${text(20)}.${text(20)}.${text(43)}`, `eyJ${text(20)}.${text(20)}.`],
  'a GitHub token': [`ghp_${text(36)}`, `github_pat_${text(22)}_${text(59)}`],
  'a GitLab token': [`glpat-${text(20)}`, `glrt-${text(20)}`],
  'a Slack token': [`xoxb-${'123456789012'}-${text(24)}`],
  'a Stripe key': [`sk_${'live'}_${text(24)}`, `rk_${'test'}_${text(24)}`],
  'a Google API key': [`AIza${text(35)}`],
  'a SendGrid key': [`SG.${text(22)}.${text(43)}`],
  'an npm token': [`npm_${text(36)}`],
  'an Azure client secret': [`abc8Q~${text(34)}`],
  'an Azure account key': [`${text(86)}==`],
};

const lead = (description: string) => (description === 'an Azure account key' ? 'AccountKey=' : 'x: ');

describe('CREDENTIAL_SHAPES', () => {
  it('each credential shape has examples', () => {
    expect(CREDENTIAL_SHAPES.map(({ description }) => description).sort()).toEqual(
      Object.keys(EXAMPLES).sort(),
    );
  });

  const cases = Object.entries(EXAMPLES).flatMap(([description, examples]) =>
    examples.map((example) => [description, example] as const),
  );

  it.each(cases)('redacts %s in a log line, and keeps the rest of the line', (description, example) => {
    const line = JSON.stringify({ msg: `${lead(description)}${example}`, count: 1 });
    const scrubbed = createScrubber().scrub(line);
    expect(JSON.parse(scrubbed)).toEqual({ msg: `${lead(description)}[secret]`, count: 1 });
  });

  it.each(cases)('finds %s in the configuration', (description, example) => {
    expect(findSuspects(`${lead(description)}${example}`)).toContainEqual({ description, fragment: example });
  });

  it.each(CREDENTIAL_SHAPES.map(({ description, pattern }) => [description, pattern] as const))(
    'matches %s in linear time',
    (description, pattern) => {
      const [example = ''] = EXAMPLES[description] ?? [];
      const started = performance.now();
      for (let length = 1; length <= Math.min(example.length, 12); length += 1) {
        const beginning = `${lead(description)}${example}`.slice(0, lead(description).length + length);
        beginning.repeat(300_000 / beginning.length).replace(pattern, '');
        example
          .slice(0, length)
          .repeat(300_000 / length)
          .replace(pattern, '');
      }
      expect(performance.now() - started).toBeLessThan(2_000);
    },
  );
});
