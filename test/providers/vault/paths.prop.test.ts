import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../../src/core/errors.ts';
import { encodePath } from '../../../src/providers/vault/paths.ts';

const segment = fc.string({ unit: fc.constantFrom(...'.%/?#&; \\ü日a\0\n2eE') });

describe('a path in Vault', () => {
  it('either rejects a key or encodes it so that the server decodes exactly this key in the mount', () => {
    fc.assert(
      fc.property(fc.oneof(segment, fc.string({ unit: 'binary' })), (key) => {
        let path: string;
        try {
          path = encodePath('secret', 'data', key);
        } catch (error) {
          expect(error).toBeInstanceOf(AppError);
          return;
        }
        const url = new URL(`http://localhost/v1/${path}?version=1`);
        expect(url.search).toBe('?version=1');
        expect(url.pathname).toBe(`/v1/${path}`);
        expect(url.pathname.split('/').map(decodeURIComponent).join('/')).toBe(`/v1/secret/data/${key}`);
      }),
    );
  });
});
