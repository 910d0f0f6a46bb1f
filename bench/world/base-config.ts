import type { Engine, Lab } from './lab.ts';

export interface BaseConfigOptions {
  readonly lab: Lab;
  readonly port: number;
  readonly engine: Engine;
  readonly refresh: string;
}

/** Returns the configuration without stores and mappings. */
export function baseConfig({ lab, port, engine, refresh }: BaseConfigOptions): object {
  return {
    apiVersion: 'secretbridge.dev/v1',
    instance: 'bench',
    cluster: { kind: 'kubernetes', scope: 'namespace', kubeconfig: lab.kubernetes.kubeconfig },
    engine: {
      kind: engine,
      ...(engine === 'redis' ? { url: { env: 'REDIS_URL' }, prefix: `b${port}` } : {}),
    },
    audit: { store: { kind: 'sqlite', path: './state/audit.db' } },
    keys: { fingerprint: [{ file: './shared.key' }] },
    http: { listen: `127.0.0.1:${port}` },
    defaults: { refresh },
  };
}
