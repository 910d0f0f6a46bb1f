import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AwsFailure } from '../../../src/providers/aws/errors.ts';
import { createBatchState } from '../../../src/providers/aws-secrets-manager/batch.ts';
import { awsSecretsManager } from '../../../src/providers/aws-secrets-manager/index.ts';
import { readAll, type Store } from '../../../src/providers/aws-secrets-manager/read.ts';
import type { Session } from '../../../src/providers/aws-secrets-manager/value.ts';
import { reportVersions } from '../../../src/providers/aws-secrets-manager/versions.ts';
import {
  type ChosenStrategy,
  cheapestStrategy,
  createListCosts,
} from '../../../src/providers/read-strategy.ts';
import { testDeps } from '../../conformance/provider-deps.ts';
import { createManualTime } from '../../fakes/manual-time.ts';
import { parse } from './harness.ts';

const HOUR_MS = 3_600_000;

/** Opens an AWS account in memory. It runs the commands of the SDK and counts the calls. */
function openAccount({ mayList = true, mayBatch = true } = {}) {
  const versions = new Map<string, number>();
  const clock = createManualTime();
  const strategies: ChosenStrategy[] = [];
  const allowed = { list: mayList, batch: mayBatch };
  let calls = 0;
  const idOf = (name: string) => `${String(versions.get(name)).padStart(8, '0')}-0000-0000-0000-000000000000`;
  const stages = (name: string) => ({ [idOf(name)]: ['AWSCURRENT'] });
  const arnOf = (name: string) => `arn:aws:secretsmanager:eu-west-1:123456789012:secret:${name}-AbCdEf`;
  const secretOf = (name: string) => ({
    ARN: arnOf(name),
    Name: name,
    VersionId: idOf(name),
    VersionStages: ['AWSCURRENT'],
    SecretString: 'x',
  });
  const refuse = () => {
    throw new AwsFailure(400, 'AccessDeniedException');
  };
  const operations: Record<string, (input: Record<string, unknown>) => unknown> = {
    ListSecretsCommand(input) {
      if (!allowed.list) refuse();
      const [filter] = (input.Filters ?? []) as { Values: string[] }[];
      const unrelated = [...versions.keys()].filter(
        (name) => filter === undefined || filter.Values.some((prefix) => name.startsWith(prefix)),
      );
      const from = Number(input.NextToken ?? 0);
      const list = unrelated.slice(from, from + 100);
      return {
        SecretList: list.map((Name) => ({ Name, ARN: arnOf(Name), SecretVersionsToStages: stages(Name) })),
        ...(from + 100 < unrelated.length ? { NextToken: String(from + 100) } : {}),
      };
    },
    BatchGetSecretValueCommand(input) {
      if (!allowed.batch) refuse();
      return { SecretValues: (input.SecretIdList as string[]).map(secretOf), Errors: [] };
    },
    GetSecretValueCommand: (input) => secretOf(String(input.SecretId)),
    DescribeSecretCommand(input) {
      const name = String(input.SecretId);
      return { Name: name, ARN: arnOf(name), VersionIdsToStages: stages(name) };
    },
  };
  const client = {
    async send(command: { readonly constructor: { readonly name: string }; readonly input: object }) {
      calls += 1;
      return operations[command.constructor.name]?.({ ...command.input });
    },
  };
  const session = {
    call: (_: string, ask: (sender: object, options: object) => Promise<unknown>) => ask(client, {}),
    ensure: async () => undefined,
    skewMs: undefined,
    async [Symbol.asyncDispose]() {},
  } as unknown as Session;
  const deps = testDeps({ clock, onStrategy: (strategy) => strategies.push(strategy) });
  const store: Store = {
    config: parse({}),
    deps,
    session,
    batch: createBatchState(clock),
    lists: createListCosts(clock),
  };
  const recorded = new Map<string, string>();
  return {
    clock,
    ways: strategies,
    allowed,
    put: (name: string) => void versions.set(name, (versions.get(name) ?? 0) + 1),
    /**
     * Checks versions as the service does regularly, and then reads the keys that are unknown or changed. Returns the
     * number of calls.
     */
    async pass(keys: readonly string[]): Promise<number> {
      calls = 0;
      const reported = await reportVersions(store, keys, undefined);
      const due = keys.filter((key, index) => {
        const version = reported[index];
        return version?.kind !== 'known' || version.version !== recorded.get(key);
      });
      const results = await readAll(
        store,
        due.map((key) => ({ key })),
        {},
      );
      for (const [index, result] of results.entries())
        if (result.kind === 'found') recorded.set(due[index] ?? '', result.version);
      return calls;
    },
  };
}

const scene = fc.record({
  /** The number of other secrets in the account, whose names we do not ask for. */
  others: fc.integer({ min: 0, max: 2_500 }),
  /** Gives the other secrets names that sort before, between or after ours. */
  prefix: fc.constantFrom('a', 'm/', 'z'),
  ours: fc.integer({ min: 1, max: 600 }),
  folders: fc.integer({ min: 1, max: 30 }),
  changed: fc.array(fc.nat(599), { maxLength: 60 }),
});

function fill(
  account: ReturnType<typeof openAccount>,
  { others, prefix, ours, folders }: Omit<Scene, 'changed'>,
) {
  const keys = Array.from({ length: ours }, (_, index) => `m${index % folders}/k${index}`);
  const names = [...keys, ...Array.from({ length: others }, (_, index) => `${prefix}${index}`)];
  for (const name of names.sort()) account.put(name);
  return keys;
}

type Scene = { others: number; prefix: string; ours: number; folders: number; changed: number[] };

describe('a version check in AWS Secrets Manager', () => {
  it('needs at most one more call than the cheaper strategy (a list or batch reads), for any size of the account', async () => {
    await fc.assert(
      fc.asyncProperty(scene, async ({ changed, ...world }) => {
        const account = openAccount();
        const keys = fill(account, world);
        const batches = Math.ceil(keys.length / 20);
        const pages = Math.ceil((world.others + world.ours) / 100);
        await account.pass(keys);
        await account.pass(keys);
        const most = Math.min(pages, batches) + 1;
        for (let cycle = 0; cycle < 3; cycle += 1) expect(await account.pass(keys)).toBeLessThanOrEqual(most);
        const news = new Set(changed.filter((index) => index < keys.length));
        for (const index of news) account.put(keys[index] ?? '');
        expect(await account.pass(keys)).toBeLessThanOrEqual(most + Math.ceil(news.size / 20));
        expect(await account.pass(keys)).toBeLessThanOrEqual(most);
      }),
      { numRuns: 60 },
    );
  });

  it('without the permission to list, needs at most one call more than a read of all keys, and lists secrets after the permission is granted', async () => {
    await fc.assert(
      fc.asyncProperty(scene, fc.boolean(), async (world, mayBatch) => {
        const account = openAccount({ mayList: false, mayBatch });
        const keys = fill(account, world);
        const reads = mayBatch ? Math.ceil(keys.length / 20) : keys.length;
        await account.pass(keys);
        expect(await account.pass(keys)).toBeLessThanOrEqual(reads + 1);
        account.allowed.list = true;
        account.allowed.batch = true;
        account.clock.set(account.clock.now() + HOUR_MS);
        await account.pass(keys);
        await account.pass(keys);
        const pages = Math.ceil((world.others + world.ours) / 100);
        expect(await account.pass(keys)).toBeLessThanOrEqual(
          Math.min(pages, Math.ceil(keys.length / 20)) + 1,
        );
      }),
      { numRuns: 40 },
    );
  });

  it('stops listing a huge account if only a few keys are needed, and tries a list again after a day', async () => {
    const account = openAccount();
    const keys = fill(account, { others: 5_000, prefix: 'a', ours: 40, folders: 40 });
    const passes: number[] = [];
    for (let cycle = 0; cycle < 3; cycle += 1) passes.push(await account.pass(keys));
    expect(passes).toEqual([4, 2, 2]);
    expect(account.ways.map(({ way }) => way)).toEqual(['list', 'batch', 'batch']);
    account.clock.set(account.clock.now() + 24 * HOUR_MS);
    expect(await account.pass(keys)).toBe(4);
    expect(await account.pass(keys)).toBe(2);
  });

  it('reports the strategy that it has chosen, and the number of calls', async () => {
    const account = openAccount();
    const keys = fill(account, { others: 0, prefix: 'a', ours: 500, folders: 20 });
    await account.pass(keys);
    await account.pass(keys);
    await account.pass(keys.slice(0, 1));
    expect(account.ways).toEqual([
      { way: 'list', keys: 500, calls: 5 },
      { way: 'list', keys: 500, calls: 5 },
      { way: 'describe', keys: 1, calls: 1 },
    ]);
  });

  it('needs as many calls as predicted if the account contains only the checked secrets', async () => {
    for (const ours of [1, 2, 3, 20, 21, 100, 101, 250])
      for (const mayBatch of [true, false]) {
        const account = openAccount({ mayBatch });
        const keys = fill(account, { others: 0, prefix: 'a', ours, folders: 20 });
        for (let cycle = 0; cycle < 3; cycle += 1) await account.pass(keys);
        const { readsPerCall = 1, describesUpTo = 0 } = awsSecretsManager.can;
        const namesPerCall = awsSecretsManager.versionsPerPage?.(parse({}));
        const abilities = { readsPerCall: mayBatch ? readsPerCall : 1, namesPerCall, describesUpTo };
        expect(account.ways.at(-1)).toEqual(cheapestStrategy(ours, abilities));
      }
  });
});
