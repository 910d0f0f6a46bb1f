import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';

const ROOT = resolve(import.meta.dirname, '../../..');

export interface ComposeServers {
  /**
   * The address of Redis. It includes a password that other Redis servers reject, so a successful login shows that the
   * server is the Redis of Compose.
   */
  readonly redis: string;
  /** The address of PostgreSQL for the superuser. It names another database than the bridge uses. */
  readonly postgres: string;
  /**
   * The path of the kubeconfig. The API server writes the file at its start, so the file can exist without a server.
   */
  readonly kubeconfig: string;
}

/** Returns the addresses of the `docker compose up` servers, as seen from this machine. */
export function composeServers(): ComposeServers {
  const env = parseEnv(readFileSync(join(ROOT, 'deploy/compose/dev.env'), 'utf8'));
  const localUrl = (address: string | undefined, path: string): string => {
    const url = new URL(address ?? '');
    url.hostname = '127.0.0.1';
    url.pathname = path;
    return url.href;
  };
  return {
    redis: localUrl(env.REDIS_URL, ''),
    postgres: localUrl(env.DATABASE_URL, '/postgres'),
    kubeconfig: join(ROOT, 'state/compose/kubeconfig.yaml'),
  };
}
