import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import { type Bench, HEAD, openBench } from '../../cli/harness.ts';
import { openAccount } from '../providers/aws-harness.ts';
import { call, createAppRole, createMount, urlOf } from '../providers/vault-harness.ts';
import { localstack, openbao } from '../services/inject.ts';

// Makes a mistake, carries out what `doctor` says, and expects the value in the target. The stores are real servers.

interface Failure {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
}

const VALUE = 'r3m3dy-v4lu3';

/** What a person can get wrong in a configuration with a store of kind `vault`. */
interface Fields {
  readonly mount: string;
  readonly kvVersion: number;
  readonly key: string;
  readonly property: string;
}

async function doctor(bench: Bench, env: Readonly<Record<string, string>>): Promise<readonly Failure[]> {
  const { json } = await bench.runWith({ env, clock: systemClock }, 'doctor', '--output', 'json');
  return (json as { checks: readonly (Failure & { ok: boolean })[] }).checks.filter(({ ok }) => !ok);
}

/** Runs `sync`. Returns the exit code and the value in the target. */
async function sync(bench: Bench, env: Readonly<Record<string, string>>) {
  const { code } = await bench.runWith({ env, clock: systemClock }, 'sync');
  const text = code === 0 ? await bench.read('cluster/apps/db.yaml') : '';
  const encoded = /^ {2}PASSWORD: (\S+)$/m.exec(text)?.[1];
  return { code, value: encoded && Buffer.from(encoded, 'base64').toString() };
}

function configuration(store: string, source: string): string {
  const mapping = `mappings:\n  - { name: db, target: { namespace: apps }, data: { PASSWORD: { store: s, ${source} } } }\n`;
  return HEAD.replace(/stores.*\n/, `stores: [ { name: s, ${store} } ]\n`) + mapping;
}

/** A mount with one secret, another mount, and a login that may read one folder of both. */
async function openVaultScene() {
  const bao = openbao();
  const [mount, otherMount] = [await createMount(bao, 2), await createMount(bao, 2)];
  await call(bao, 'POST', urlOf(mount, 2, 'payments/db'), { data: { password: VALUE } });
  await call(bao, 'POST', urlOf(mount, 2, 'private/db'), { data: { password: VALUE } });
  const rules = [mount, otherMount].map(
    (name) =>
      `path "${name}/data/payments/*" { capabilities = ["read"] } path "${name}/metadata/*" { capabilities = ["list"] }`,
  );
  const role = await createAppRole(bao, rules.join(' '));
  const env = { ROLE_ID: role.roleId, SECRET_ID: await role.newSecretId() };
  const bench = await openBench();
  return {
    mount,
    otherMount,
    /** Adds a rule to the policy of the login. */
    grant: (path: string, capability: string) =>
      call(bao, 'PUT', `sys/policies/acl/${role.name}`, {
        policy: `${rules.join(' ')} path "${path}" { capabilities = ["${capability}"] }`,
      }),
    write: ({ mount: name, kvVersion, key, property }: Fields) => {
      const auth = `{ method: appRole, roleId: { env: ROLE_ID }, secretId: { env: SECRET_ID }, mountPath: ${role.mountPath} }`;
      const store = `kind: vault, address: '${bao.address}', mount: ${name}, kvVersion: ${kvVersion}, auth: ${auth}`;
      return bench.write('secretbridge.yaml', configuration(store, `key: ${key}, property: ${property}`));
    },
    failures: () => doctor(bench, env),
    sync: () => sync(bench, env),
    [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose](),
  };
}

type Scene = Awaited<ReturnType<typeof openVaultScene>>;

interface Mistake {
  readonly wrong: (scene: Scene) => Partial<Fields>;
  readonly code: string;
  /** Carries out the remedy. Returns the fields of the configuration that must change. */
  readonly correct: (failure: Failure, scene: Scene) => Promise<Partial<Fields>>;
}

/** Returns the name in `did you mean …`. */
function meant({ remedy }: Failure): string {
  return part(/Did you mean the \w+ `([^`]+)`/, remedy);
}

function part(pattern: RegExp, text: string): string {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`no ${pattern} in: ${text}`);
  return found;
}

const MISTAKES: Readonly<Record<string, Mistake>> = {
  'a misspelled key': {
    wrong: () => ({ key: 'payments/bd' }),
    code: 'SOURCE_ABSENT',
    correct: async (failure) => ({ key: meant(failure) }),
  },
  'a misspelled folder, in which the login may read nothing': {
    wrong: () => ({ key: 'payment/db' }),
    code: 'ACCESS_DENIED',
    correct: async (failure) => ({ key: meant(failure) }),
  },
  'a misspelled property': {
    wrong: () => ({ property: 'pasword' }),
    code: 'PROPERTY_MISSING',
    correct: async (failure) => ({ property: meant(failure) }),
  },
  'a mount that does not exist': {
    wrong: ({ mount }) => ({ mount: mount.slice(0, -1) }),
    code: 'ACCESS_DENIED',
    correct: async (failure) => ({ mount: meant(failure) }),
  },
  'another mount than the one with the key': {
    wrong: ({ otherMount }) => ({ mount: otherMount }),
    code: 'SOURCE_ABSENT',
    async correct({ message, remedy }, { mount, otherMount }) {
      expect(message).toContain(`asked in mount ${otherMount}`);
      return { [part(/Also check `(\w+)` of the store/, remedy)]: mount };
    },
  },
  'a wrong version of the mount': {
    wrong: () => ({ kvVersion: 1 }),
    code: 'MOUNT_NOT_FOUND',
    correct: async ({ message }) => ({ kvVersion: Number(part(/the mount has version (\d)/, message)) }),
  },
  'a key that the policy does not allow': {
    wrong: () => ({ key: 'private/db' }),
    code: 'ACCESS_DENIED',
    async correct({ remedy }, { grant }) {
      await grant(part(/ on `([^`]+)` with a policy/, remedy), part(/the capability `(\w+)`/, remedy));
      return { key: 'private/db' };
    },
  },
};

describe('the remedy that `doctor` prints for OpenBao', () => {
  it.each(Object.keys(MISTAKES))('corrects %s', async (name) => {
    const mistake = MISTAKES[name];
    if (mistake === undefined) throw new Error(name);
    await using scene = await openVaultScene();
    const right: Fields = { mount: scene.mount, kvVersion: 2, key: 'payments/db', property: 'password' };
    await scene.write({ ...right, ...mistake.wrong(scene) });
    expect(await scene.sync()).toEqual({ code: 4, value: undefined });
    const [failure] = await scene.failures();
    if (failure?.code !== mistake.code) throw new Error(`${failure?.code} ${failure?.message}`);
    await scene.write({ ...right, ...(await mistake.correct(failure, scene)) });
    expect(await scene.failures()).toEqual([]);
    expect(await scene.sync()).toEqual({ code: 0, value: VALUE });
  });
});

describe('the remedy that `doctor` prints for AWS', () => {
  it('corrects a region that exists, but does not have the secret', async () => {
    using account = openAccount();
    await account.put('payments/db', VALUE);
    await using bench = await openBench();
    const { env } = account;
    const write = (region: string) =>
      bench.write(
        'secretbridge.yaml',
        configuration(
          `kind: aws-secrets-manager, region: ${region}, endpoint: '${localstack().address}', auth: { method: static, accessKeyId: { env: KEY_ID }, secretAccessKey: { env: SECRET_KEY } }`,
          'key: payments/db',
        ),
      );
    await write('eu-west-2');
    expect(await sync(bench, env)).toEqual({ code: 4, value: undefined });
    const [failure] = await doctor(bench, env);
    expect(failure).toMatchObject({
      code: 'SOURCE_ABSENT',
      message: expect.stringContaining('asked in region eu-west-2'),
      remedy: expect.stringContaining('Also check `region` of the store.'),
    });
    await write('eu-west-1');
    expect(await doctor(bench, env)).toEqual([]);
    expect(await sync(bench, env)).toEqual({ code: 0, value: VALUE });
  });
});
