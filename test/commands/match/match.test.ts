import { describe, expect, it } from 'vitest';
import { type KeyMatch, matchSecrets } from '../../../src/commands/match/match.ts';
import { readStoreValues } from '../../../src/commands/match/store-values.ts';
import { AppError } from '../../../src/core/errors.ts';
import type { ReadResult } from '../../../src/core/read-result.ts';
import type { LiveSecret } from '../../../src/core/secret.ts';
import { SecretValue } from '../../../src/core/secret-value.ts';
import type { SecretProvider } from '../../../src/providers/provider.ts';

const LONG = 'fX9-2kQ_vT7$mZ4!bR8w';
const OTHER = 'Qm4z-88Lw_ppR2!xT';

/** A fingerprint that a test can read. The program uses a keyed hash. */
const fingerprint = (value: SecretValue) => value.revealText();

function provider(values: Readonly<Record<string, string | AppError>>): SecretProvider {
  return {
    find: async () => Object.keys(values),
    read: async (refs) =>
      refs.map(({ key }): ReadResult => {
        const value = values[key];
        if (value === undefined) return { kind: 'absent' };
        if (value instanceof AppError) return { kind: 'failed', error: value };
        return { kind: 'found', value: SecretValue.fromText(value), version: '1' };
      }),
  } as Partial<SecretProvider> as SecretProvider;
}

function secret(name: string, data: Readonly<Record<string, string>>): LiveSecret {
  return {
    id: { namespace: 'shop', secret: name },
    uid: name,
    resourceVersion: '1',
    type: 'Opaque',
    immutable: false,
    labels: {},
    annotations: {},
    data: new Map(Object.entries(data).map(([key, text]) => [key, SecretValue.fromText(text)])),
    controlled: false,
    deleting: false,
    ours: undefined,
  };
}

async function matched(
  store: Readonly<Record<string, string | AppError>>,
  ...secrets: readonly LiveSecret[]
): Promise<readonly Readonly<Record<string, KeyMatch>>[]> {
  const options = { store: 's', path: '', fingerprint, signal: undefined };
  const { places } = await readStoreValues(provider(store), options);
  return matchSecrets(secrets, { places, fingerprint }).map(({ keys }) => Object.fromEntries(keys));
}

const json = (value: object) => JSON.stringify(value);

describe('the comparison of Secrets with a store', () => {
  it('the comparison finds whole values, members of JSON, and encoded values', async () => {
    const store = {
      plain: LONG,
      object: json({ password: OTHER }),
      encoded: Buffer.from('binary-Value-17-of-a-key').toString('base64'),
    };
    const [keys] = await matched(store, secret('a', { A: LONG, B: OTHER, C: 'binary-Value-17-of-a-key' }));
    expect(keys).toEqual({
      A: { kind: 'matched', place: { store: 's', key: 'plain' } },
      B: { kind: 'matched', place: { store: 's', key: 'object', property: 'password' } },
      C: { kind: 'matched', place: { store: 's', key: 'encoded', decode: 'base64' } },
    });
  });

  it.each(['true', '5432', 'admin', 'production', 'db.internal', 'localhost', ''])(
    'the comparison never proposes a source by the short or common value %j alone',
    async (value) => {
      const [keys] = await matched({ flag: value, object: json({ X: value }) }, secret('a', { X: value }));
      expect(keys).toEqual({ X: { kind: 'common' } });
    },
  );

  it('a short value is matched if another key proves the same secret of the store, and the names are equal', async () => {
    const store = { db: json({ user: 'ann', password: LONG, port: '5432' }), other: json({ port: '5432' }) };
    const [keys] = await matched(
      store,
      secret('a', { DB_PORT: '5432', password: LONG, PORT: '5432', User: 'ann' }),
    );
    expect(keys).toEqual({
      DB_PORT: { kind: 'common' },
      password: { kind: 'matched', place: { store: 's', key: 'db', property: 'password' } },
      PORT: { kind: 'matched', place: { store: 's', key: 'db', property: 'port' } },
      User: { kind: 'matched', place: { store: 's', key: 'db', property: 'user' } },
    });
  });

  it('a value in several places of the store is matched only if another key proves one of them', async () => {
    const store = { a: json({ password: LONG, id: OTHER }), b: json({ password: LONG }) };
    const [alone, proved] = await matched(
      store,
      secret('alone', { password: LONG }),
      secret('proved', { password: LONG, id: OTHER }),
    );
    expect(alone).toMatchObject({ password: { kind: 'several', places: [{ key: 'a' }, { key: 'b' }] } });
    expect(proved).toMatchObject({ password: { kind: 'matched', place: { key: 'a' } } });
  });

  it('a value that many Secrets have is common, however long it is', async () => {
    const secrets = ['a', 'b', 'c', 'd'].map((name) => secret(name, { X: LONG }));
    for (const keys of await matched({ key: LONG }, ...secrets))
      expect(keys).toEqual({ X: { kind: 'common' } });
  });

  it('a key that cannot be read is listed with its code, and the others are compared', async () => {
    const store = { good: LONG, bad: new AppError('ACCESS_DENIED') };
    const options = { store: 's', path: '', fingerprint, signal: undefined };
    const { unreadable, keys } = await readStoreValues(provider(store), options);
    expect([unreadable, keys]).toEqual([['bad: ACCESS_DENIED'], 2]);
  });
});
