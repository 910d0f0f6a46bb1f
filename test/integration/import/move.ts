import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { copyCredentials, type Migration, setLogin, takeOver, testLogin, until } from './migration.ts';
import { readRights, type Walk } from './walks.ts';

interface Report {
  readonly objects: readonly {
    readonly namespace?: string;
    readonly name: string;
    readonly outcome: string;
  }[];
  readonly copies: Parameters<typeof copyCredentials>[1];
}

/**
 * Follows the report of an import: reads the objects from the cluster, copies credentials, checks the plan and takes
 * the Secrets over.
 */
export async function move(migration: Migration, walk: Walk, secrets: readonly string[]): Promise<void> {
  const { namespace, account, folder, run } = migration;
  const { tool, options, needsLogin } = walk;
  await migration.allow(readRights(tool));
  const command = ['import', tool.name, '--own-namespace', account.namespace, '--instance', 'moved'];
  const files = ['--out', 'imported.yaml', '--report', 'report.json'];
  const ownObjects = async () => {
    for (const file of ['imported.yaml', 'report.json']) await rm(join(folder, file), { force: true });
    await run(...command, ...options(migration), ...files);
    return JSON.parse(await readFile(join(folder, 'report.json'), 'utf8')) as Report;
  };
  await until(async () => (await ownObjects()).objects.some((object) => object.namespace === namespace));
  const report = await ownObjects();
  const own = report.objects.filter((object) => object.namespace === namespace);
  expect(own.map(({ name, outcome }) => [name, outcome])).not.toContainEqual([
    expect.any(String),
    'notCarried',
  ]);
  await copyCredentials(
    migration,
    report.copies.filter((copy) => copy.namespace === namespace),
  );
  if (needsLogin) await setLogin(migration, testLogin(migration));
  await takeOver(migration, secrets);
}
