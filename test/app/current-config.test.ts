import { describe, expect, it } from 'vitest';
import { createCurrentConfig } from '../../src/app/current-config.ts';
import type { Config } from '../../src/config/config.ts';
import { loadText, VALID } from '../config/memory-fs.ts';
import { createMemoryCluster } from '../fakes/memory-cluster.ts';

async function configOf(text: string): Promise<Config> {
  const loaded = await loadText(text);
  if (loaded.kind !== 'usable') throw new Error('the configuration is invalid');
  return loaded.config;
}

describe('the rules of the current configuration', () => {
  it('stay the same object when only mappings change, so that the runs of other mappings go on', async () => {
    const current = createCurrentConfig(await configOf(VALID), createMemoryCluster());
    const { rules } = current;
    current.replace({ ...(await configOf(VALID)), mappings: [] });
    expect(current.rules).toBe(rules);
  });

  it.each([
    [
      'the access rules',
      VALID,
      `${VALID}access: [{ namespaces: [payments], stores: [team-vault], keys: ['**'] }]\n`,
    ],
    ['the brake', VALID, `${VALID}brake: { share: 0.9 }\n`],
    ['a store', VALID, VALID.replace('VAULT_TOKEN', 'OTHER_TOKEN')],
  ])('become another object when %s changes', async (_, before, after) => {
    expect(after).not.toBe(before);
    const current = createCurrentConfig(await configOf(before), createMemoryCluster());
    const { rules } = current;
    current.replace(await configOf(after));
    expect(current.rules).not.toBe(rules);
  });
});
