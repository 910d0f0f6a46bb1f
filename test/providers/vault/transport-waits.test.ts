import { describe, expect, it } from 'vitest';
import { openVault } from './harness.ts';

describe('the connection to Vault', () => {
  it('makes other calls while one call hangs until its timeout', async () => {
    await using store = await openVault({ deps: { timeoutMs: 1_000 } });
    await store.read('a');
    store.proxy.set('hang', /k1$/);
    const results = await store.provider.read([{ key: 'k0' }, { key: 'k1' }, { key: 'k2' }]);
    expect(results.map((result) => (result.kind === 'failed' ? result.error.code : result.kind))).toEqual([
      'absent',
      'TIMEOUT',
      'absent',
    ]);
  });
});
