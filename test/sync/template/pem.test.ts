import { describe, expect, it } from 'vitest';
import { createAuthority } from '../../fakes/certificates.ts';
import { run } from './run.ts';

const root = createAuthority('Root');
const middle = root.intermediate('Middle');
const low = middle.intermediate('Low');
const { cert: leaf, key } = low.issue({ names: ['a.example'] });
const stranger = createAuthority('Root').issue();

const CHAIN = `${leaf}${low.ca}${middle.ca}`;
const WHOLE = `${CHAIN}${root.ca}`;

describe('certificates in a text', () => {
  it.each([
    ['in order', [leaf, low.ca, middle.ca, root.ca]],
    ['in reverse', [root.ca, middle.ca, low.ca, leaf]],
    ['in random order', [middle.ca, leaf, root.ca, low.ca]],
    ['with duplicates', [leaf, leaf, root.ca, low.ca, middle.ca, low.ca]],
  ])('the filter pem_chain sorts certificates with the leaf first if they come %s', (_, certificates) => {
    const P = certificates.join('');
    expect(run('{{ P | pem_chain }}', { P })).toBe(WHOLE);
    expect(run('{{ P | pem_leaf }}', { P })).toBe(leaf);
    expect(run('{{ P | pem_intermediates }}', { P })).toBe(`${low.ca}${middle.ca}`);
    expect(run('{{ P | pem_root }}', { P })).toBe(root.ca);
  });

  it('the filter pem_chain accepts a chain without the root certificate', () => {
    expect(run('{{ P | pem_chain }}', { P: `${middle.ca}${low.ca}${leaf}` })).toBe(CHAIN);
    expect(run('{{ P | pem_root }}', { P: CHAIN })).toMatchObject({
      message: 'there is no self-signed certificate',
    });
    expect(run('{{ P | pem_intermediates }}', { P: leaf })).toBe('');
  });

  it('the filter pem_chain accepts a single self-signed certificate', () => {
    expect(run('{{ P | pem_leaf }}{{ P | pem_root }}{{ P | pem_intermediates }}', { P: root.ca })).toBe(
      `${root.ca}${root.ca}`,
    );
  });

  it('the PEM filters extract certificates from surrounding text, whatever the line ends of the text are', () => {
    const P = `Bag Attributes\r\n  friendlyName: x\r\n${WHOLE.replace(/\n/g, '\r\n')}\r\n${key}`;
    expect(run('{{ P | pem_chain }}', { P })).toBe(WHOLE);
    expect(run('{{ P | pem_key }}', { P })).toBe(key);
    expect(run('{% assign all = P | pem_certificates %}{{ all | size }}{{ all[1] }}', { P })).toBe(
      `4${low.ca}`,
    );
  });

  it.each([
    ['from two chains', `${CHAIN}${stranger.cert}`, 'the certificates are not one chain'],
    ['with a missing intermediate', `${leaf}${middle.ca}`, 'the certificates are not one chain'],
    // Both roots have the same name, so only the signatures distinguish them.
    ['with a root of the same name', `${stranger.cert}${root.ca}`, 'the certificates are not one chain'],
    ['without any certificate', 'hello', 'there is no PEM certificate'],
    ['that are a key', key, 'there is no PEM certificate'],
    ['that are truncated', CHAIN.slice(0, -40), 'a PEM block has no end'],
    ['with a damaged one', `${leaf}${low.ca.replace('MII', 'AAA')}`, 'certificate 2 does not parse'],
    ['with more than 100', leaf.repeat(101), 'there are more than 100 certificates'],
  ])('the filter pem_chain refuses certificates %s', (_, P, message) => {
    expect(run('{{ P | pem_chain }}', { P })).toMatchObject({ message });
  });
});

describe('private key in a text', () => {
  it('the filter pem_key accepts a text only if it contains exactly one private key', () => {
    expect(run('{{ P | pem_key }}', { P: leaf })).toMatchObject({ message: 'there is no PEM private key' });
    expect(run('{{ P | pem_key }}', { P: `${key}${key}` })).toMatchObject({
      message: 'there is more than one PEM private key',
    });
  });

  it('the filter pem_key accepts an encrypted private key, and returns the key encrypted', () => {
    const encrypted = key.replaceAll('PRIVATE KEY', 'ENCRYPTED PRIVATE KEY');
    expect(run('{{ P | pem_key }}', { P: `${leaf}${encrypted}` })).toBe(encrypted);
  });
});
