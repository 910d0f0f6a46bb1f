import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { linesOf, load } from '../config/memory-fs.ts';
import { composeServers } from '../integration/services/compose.ts';
import { kubernetesVersions } from '../integration/services/kubernetes-install.ts';
import {
  LOCALSTACK_ADDRESS,
  LOCALSTACK_SERVICES,
  LOCALSTACK_VERSION,
} from '../integration/services/localstack.ts';
import { OPENBAO_ADDRESS, OPENBAO_VERSION } from '../integration/services/openbao.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

interface Service {
  readonly image: string;
  readonly build?: string;
  readonly command?: readonly string[];
  readonly env_file?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}

const compose = parse(read('docker-compose.yml')) as { services: Record<string, Service>; volumes: object };
const services = Object.entries(compose.services);
const service = (name: string): Service => {
  const match = compose.services[name];
  if (match === undefined) throw new Error(`there is no service ${name}`);
  return match;
};
const env = parseEnv(read('deploy/compose/dev.env'));
const configText = read('deploy/compose/config/secretbridge.yaml');
const publishedBy = (name: string) =>
  service(name).ports?.map((port) => `127.0.0.1:${port.split(':').at(-2)}`);
const hostOf = (address: string) => new URL(address).host;

describe('docker-compose.yml', () => {
  it('docker-compose.yml has the same server versions as the tests', () => {
    const imageOf = (name: string) => service(name).image.split('@')[0];
    expect(imageOf('openbao')).toBe(`openbao/openbao:${OPENBAO_VERSION}`);
    expect(imageOf('localstack')).toBe(`localstack/localstack:${LOCALSTACK_VERSION}`);
    expect(imageOf('kubernetes')).toBe(`rancher/k3s:v${kubernetesVersions().kubernetes}-k3s1`);
    // On test machines, Redis and PostgreSQL come from Debian packages. The README names their versions.
    const [, redis = '?', postgres = '?'] =
      /Redis (\d+\.\d+), PostgreSQL (\d+)/.exec(read('README.md')) ?? [];
    expect(imageOf('redis')).toMatch(new RegExp(`^redis:${redis}\\.\\d+-bookworm$`));
    expect(imageOf('postgres')).toMatch(new RegExp(`^postgres:${postgres}\\.\\d+-bookworm$`));
    expect(service('localstack').environment?.SERVICES).toBe(LOCALSTACK_SERVICES);
  });

  it('publishes the servers only on loopback, at the ports that the tests expect', () => {
    const { redis, postgres } = composeServers();
    expect(publishedBy('openbao')).toEqual([hostOf(OPENBAO_ADDRESS)]);
    expect(publishedBy('localstack')).toEqual([hostOf(LOCALSTACK_ADDRESS)]);
    expect(publishedBy('redis')).toEqual([hostOf(redis)]);
    expect(publishedBy('postgres')).toEqual([hostOf(postgres)]);
    const ports = services.flatMap(([, { ports: list = [] }]) => list);
    expect(ports.filter((port) => !/^127\.0\.0\.1:\d+:\d+$/.test(port))).toEqual([]);
    expect(new Set(ports.map((port) => port.split(':')[1])).size).toBe(ports.length);
  });

  it('writes the kubeconfig to the path that the tests expect', () => {
    const { environment, volumes, healthcheck } = service('kubernetes');
    const [folder, mounted] = volumes?.[0]?.split(':') ?? [];
    const written = environment?.K3S_KUBECONFIG_OUTPUT ?? '';
    expect(written.replace(`${mounted}/`, `${resolve(ROOT, folder ?? '')}/`)).toBe(
      composeServers().kubeconfig,
    );
    expect(healthcheck?.test).toContain(written);
    expect(service('seed').environment?.KUBECONFIG).toBe(written);
    expect(service('seed').volumes).toContain(`${folder}:${mounted}:ro`);
  });

  it('pins every image by its full version, and pins every base image by version and digest', () => {
    const dockerfile = read('Dockerfile');
    const bases = new Map(
      [...dockerfile.matchAll(/^ARG (\w+_IMAGE)=(.*)$/gm)].map(([, name = '', image = '']) => [name, image]),
    );
    const imageOf = (name: string) =>
      (bases.get(name) ?? '').replace(/^\$\{(\w+)\}$/, (_, other) => bases.get(other) ?? '');
    const baseImages = [...dockerfile.matchAll(/^FROM (?:--platform=\S+ )?\$\{(\w+)\}/gm)].map(
      ([, name = '']) => imageOf(name),
    );
    expect(baseImages).toHaveLength([...dockerfile.matchAll(/^FROM /gm)].length);
    for (const image of baseImages)
      expect(image).toMatch(/^(node:\d+\.\d+\.\d+|debian)(-|:)bookworm-.*@sha256:[0-9a-f]{64}$/);
    for (const [name, { build, image }] of services)
      if (build === undefined)
        expect(image, name).toMatch(/:v?\d+\.\d+\.?\d*(-[\w.]+)?(@sha256:[0-9a-f]{64})?$/);
  });

  it('each service waits until the services that it needs are healthy or have completed', () => {
    for (const [name, { healthcheck }] of services) {
      const isOneShot = services.some(
        ([, { depends_on: needs }]) => needs?.[name]?.condition === 'service_completed_successfully',
      );
      expect(healthcheck?.test?.[0], name).toBe(isOneShot ? undefined : 'CMD');
      expect(healthcheck?.disable ?? false, name).toBe(isOneShot);
    }
    for (const [name, { depends_on: needs = {} }] of services)
      for (const [dependency, { condition }] of Object.entries(needs)) {
        const disabled = service(dependency).healthcheck?.disable ?? false;
        expect(condition, `${name}: ${dependency}`).toBe(
          disabled ? 'service_completed_successfully' : 'service_healthy',
        );
      }
  });

  it('mounts only existing files', () => {
    const mounts = services.flatMap(([, { volumes = [] }]) =>
      volumes.map((volume) => volume.split(':')[0] ?? ''),
    );
    expect(mounts.length).toBeGreaterThan(5);
    for (const path of mounts.filter((one) => one !== './state/compose'))
      expect(path.startsWith('./') ? existsSync(join(ROOT, path)) : path in compose.volumes, path).toBe(true);
    for (const [, { env_file: file }] of services) if (file) expect(file).toBe('deploy/compose/dev.env');
  });

  it('runs the bridge with a read-only file system and without capabilities, and checks its readiness', () => {
    expect(service('bridge')).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
      ports: ['127.0.0.1:8080:8080'],
    });
    expect(service('bridge').healthcheck?.test?.join(' ')).toContain('http://127.0.0.1:8080/readyz');
    expect(configText).toContain('listen: 0.0.0.0:8080');
  });
});

describe('the credentials of Compose', () => {
  it('the credentials are the same in all Compose files', () => {
    const database = new URL(env.DATABASE_URL ?? '');
    expect([database.username, database.password, database.pathname]).toEqual([
      env.POSTGRES_USER,
      env.POSTGRES_PASSWORD,
      `/${env.POSTGRES_DB}`,
    ]);
    expect(service('postgres').healthcheck?.test).toEqual(
      expect.arrayContaining([`--username=${env.POSTGRES_USER}`, `--dbname=${env.POSTGRES_DB}`]),
    );
    const redis = new URL(env.REDIS_URL ?? '');
    expect(redis.password).toBe(env.REDISCLI_AUTH);
    expect(read('deploy/compose/redis.conf')).toContain(`\nrequirepass ${redis.password}\n`);
    expect(env.VAULT_TOKEN).toBe(service('openbao').environment?.BAO_DEV_ROOT_TOKEN_ID);
  });

  it('the tests use another database than the bridge', () => {
    expect(new URL(composeServers().postgres).pathname).not.toBe(`/${env.POSTGRES_DB}`);
  });
});

describe('the configuration of the bridge in Compose', () => {
  it('the configuration of the bridge is valid', async () => {
    const checked = await load({ '/home/ann/secretbridge.yaml': configText });
    expect(linesOf(checked)).toEqual([]);
  });

  it('the configuration uses only defined variables', () => {
    const variables = [...configText.matchAll(/\{ env: (\w+) \}/g)].map(([, name]) => name ?? '');
    expect(variables.length).toBeGreaterThan(3);
    expect(variables.filter((name) => env[name] === undefined)).toEqual([]);
  });

  it('the configuration uses the service names and ports of docker-compose.yml', () => {
    const serviceAddresses = services.flatMap(([name, { ports = [] }]) =>
      ports.map((port) => `${name}:${port.split(':').at(-1)}`),
    );
    const { environment = {} } = service('seed');
    const addresses = [configText, read('deploy/compose/dev.env'), JSON.stringify(environment)]
      .join('\n')
      .matchAll(/\w+:\/\/(?:[^\s@'"]*@)?([a-z]+:\d+)/g);
    const usedAddresses = [...addresses].map(([, address]) => address ?? '');
    expect(new Set(usedAddresses)).toEqual(
      new Set(['openbao:8200', 'localstack:4566', 'kubernetes:6443', 'redis:6379', 'postgres:5432']),
    );
    expect(serviceAddresses).toEqual(expect.arrayContaining(usedAddresses));
    expect(service('kubernetes').command).toContain(`--tls-san=${hostOf('https://kubernetes')}`);
  });
});

describe('the page about Compose', () => {
  const page = read('docs/how-to/try-with-compose.md');
  const commands = [...page.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block = '']) =>
    block
      .replace(/\\\n\s*/g, '')
      .trim()
      .split('\n'),
  );

  it('the page names only existing services, keys and Secrets', () => {
    const usedServices = commands.flatMap(
      (line) => /\b(?:exec|run)(?: --rm| --env \S+)* (\S+)/.exec(line)?.[1] ?? [],
    );
    expect(usedServices.length).toBeGreaterThan(6);
    expect(usedServices.filter((name) => compose.services[name] === undefined)).toEqual([]);
    const config = parse(configText) as { mappings: { name: string; target: { namespace: string } }[] };
    const [, namespace = ''] = /--namespace (\S+)/.exec(page) ?? [];
    expect(config.mappings).toContainEqual(
      expect.objectContaining({ name: 'orders-db', target: { namespace } }),
    );
    const seed = read('deploy/compose/seed.ts');
    for (const text of ['orders/db', 'orders/api'])
      expect([page, configText, seed].filter((one) => !one.includes(text))).toEqual([]);
    expect(seed).toContain(`'${namespace}'`);
    expect(page).toContain(`AWS_ACCESS_KEY_ID=${env.AWS_ACCESS_KEY_ID}`);
    expect(page).toContain(`BAO_TOKEN=${env.VAULT_TOKEN}`);
    expect(page).toContain('`refresh` of the example configuration, which is 30 seconds');
    expect(configText).toContain('refresh: 30s');
  });
});
