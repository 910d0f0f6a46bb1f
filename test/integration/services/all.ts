import { type Kubernetes, startKubernetes } from './kubernetes.ts';
import { type LocalStack, startLocalStack } from './localstack.ts';
import { startOpenBao } from './openbao.ts';
import { type Postgres, startPostgres } from './postgres.ts';
import { borrowRedis, startRedis } from './redis.ts';
import type { Service } from './service.ts';
import type { VaultServer } from './vault-launch.ts';

export interface Servers extends AsyncDisposable {
  kubernetes: Kubernetes;
  openbao: VaultServer;
  localstack: LocalStack;
  postgres: Postgres;
  /** The address includes the password, if there is one. */
  redis: Service;
}

export interface ServersOptions {
  /** The root token of a new OpenBao. By default, a random one. */
  readonly rootToken?: string;
}

/** Starts all servers in parallel. Stops all servers if one of them fails to start. */
export async function startServers(options: ServersOptions = {}): Promise<Servers> {
  const starts = [
    startKubernetes(),
    startOpenBao(options),
    startLocalStack(),
    startPostgres(),
    borrowOrStartRedis(),
  ] as const;
  try {
    const [kubernetes, openbao, localstack, postgres, redis] = await Promise.all(starts);
    return {
      kubernetes,
      openbao,
      localstack,
      postgres,
      redis,
      async [Symbol.asyncDispose]() {
        await Promise.all([
          kubernetes.stop(),
          openbao.stop(),
          localstack.stop(),
          postgres.stop(),
          redis.stop(),
        ]);
      },
    };
  } catch (error) {
    const results = await Promise.allSettled(starts);
    await Promise.all(
      results.map(async (result) => (result.status === 'fulfilled' ? result.value.stop() : undefined)),
    );
    throw error;
  }
}

async function borrowOrStartRedis(): Promise<Service> {
  return (await borrowRedis(process.env)) ?? startRedis();
}
