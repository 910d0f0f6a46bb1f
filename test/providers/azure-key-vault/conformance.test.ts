import type { SourceRef } from '../../../src/core/read-result.ts';
import type { SecretProvider } from '../../../src/providers/provider.ts';
import { describeProvider } from '../../conformance/provider.ts';
import { AZURE_FAULTS } from './faults.ts';
import { openAzure } from './harness.ts';

/**
 * Key Vault names cannot contain `/` or `.`, so the keys of the suite are encoded. Keys that must be rejected stay as
 * they are.
 */
describeProvider('azure-key-vault with the fake server', {
  faults: AZURE_FAULTS,
  async open() {
    const store = await openAzure();
    const { secrets } = store.server;
    return {
      provider: withEncodedKeys(store.provider),
      put: async (key, fields) => void secrets.put(encode(key), JSON.stringify(fields)),
      async remove(key) {
        secrets.remove(encode(key));
        secrets.purge(encode(key));
      },
      fail: (fault) => store.server.fail(fault),
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    };
  },
});

function withEncodedKeys(provider: SecretProvider): SecretProvider {
  const encoded = (ref: SourceRef): SourceRef => ({
    ...ref,
    key: isPath(ref.key) ? encode(ref.key) : ref.key,
  });
  return {
    ...provider,
    read: (refs, options) => provider.read(refs.map(encoded), options),
    versions: (keys, options) => provider.versions(keys.map(encode), options),
    async find({ path, tags }, options) {
      const folder = path.replace(/\/$/, '');
      const prefix = folder === '' || !isPath(folder) ? folder : encode(`${folder}/`);
      return (await provider.find({ path: prefix, tags }, options)).map(decode).sort();
    },
    [Symbol.asyncDispose]: () => provider[Symbol.asyncDispose](),
  };
}

function isPath(key: string): boolean {
  const segments = key.split('/');
  return (
    segments.every((segment) => segment !== '' && segment !== '.' && segment !== '..') &&
    !/[\0\ud800]/.test(key)
  );
}

/** Encodes each character on its own, so that the start of a key is still the start of the encoded key. */
function encode(key: string): string {
  return key.replace(/[^0-9a-zA-Z]/g, (char) => `-${char.charCodeAt(0).toString(16)}-`);
}

function decode(name: string): string {
  return name.replace(/-([0-9a-f]+)-/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
