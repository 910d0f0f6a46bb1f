import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';

const ROOT = resolve(import.meta.dirname, '../../..');

export interface ComposeServers {
  /** Includes a password, which other Redis servers do not accept. */
  readonly redis: string;
  /** For its superuser. Not the database of the bridge that runs next to it. */
  readonly postgres: string;
  /** The API server writes it at its start, so it can exist without a server. */
  readonly kubeconfig: string;
}

/** The addresses of the `docker compose up` servers, as seen from this machine. */
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
