import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';

const ROOT = resolve(import.meta.dirname, '../../..');

export interface ComposeServers {
  /** With a password, which no other Redis takes. */
  readonly redis: string;
  /** Of its superuser; not the database of the bridge that runs beside it. */
  readonly postgres: string;
  /** Written by the API server when it starts, so it may be there without one. */
  readonly kubeconfig: string;
}

/** Where `docker compose up` puts servers, as seen from this machine. */
export function composeServers(): ComposeServers {
  const env = parseEnv(readFileSync(join(ROOT, 'deploy/compose/dev.env'), 'utf8'));
  const here = (address: string | undefined, path: string): string => {
    const url = new URL(address ?? '');
    url.hostname = '127.0.0.1';
    url.pathname = path;
    return url.href;
  };
  return {
    redis: here(env.REDIS_URL, ''),
    postgres: here(env.DATABASE_URL, '/postgres'),
    kubeconfig: join(ROOT, 'state/compose/kubeconfig.yaml'),
  };
}
