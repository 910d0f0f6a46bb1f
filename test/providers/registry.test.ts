import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createProvider, identityOf, PROVIDERS } from '../../src/providers/registry.ts';
import { VaultConfig } from '../../src/providers/vault/config.ts';
import { testDeps } from '../conformance/provider-deps.ts';

describe('the provider registry', () => {
  it('lists the providers in alphabetical order, each under its own kind', () => {
    const kinds = Object.keys(PROVIDERS);
    expect(kinds).toEqual([...kinds].sort());
    for (const [kind, definition] of Object.entries(PROVIDERS)) expect(definition.kind).toBe(kind);
  });

  it.each(['paper', 'constructor', '__proto__', ''])(
    'rejects a store of the unknown kind %j',
    async (kind) => {
      await expect(createProvider({ kind }, testDeps())).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    },
  );

  it('identifies a store by its location, and not by its login method', () => {
    const parse = (more: object) =>
      identityOf(
        VaultConfig.parse({
          kind: 'vault',
          address: 'https://vault.internal:8200',
          auth: { method: 'token', token: { env: 'A' } },
          ...more,
        }),
      );
    expect(parse({ auth: { method: 'token', token: { env: 'B' } } })).toEqual(parse({}));
    for (const more of [
      { address: 'https://other' },
      { namespace: 'a' },
      { mount: 'kv' },
      { kvVersion: 1 },
    ]) {
      expect(parse(more)).not.toEqual(parse({}));
    }
  });

  it('loads no package of a vendor before a store is opened', async () => {
    const script = `
      import { registerHooks } from 'node:module';
      const loaded = [];
      registerHooks({ resolve: (name, context, next) => (loaded.push(name), next(name, context)) });
      await import('./src/providers/registry.ts');
      console.log(loaded.filter((name) => !name.startsWith('.') && !name.startsWith('node:')).join());
    `;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
    expect(new Set(stdout.trim().split(','))).toEqual(new Set(['zod']));
  });
});
