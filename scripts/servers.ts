// npm run servers: starts the servers of the integration tests, so that you can try things by hand.
import { type Servers, startServers } from '../test/integration/services/all.ts';
import { kubernetesVersions } from '../test/integration/services/kubernetes-install.ts';
import { LOCALSTACK_VERSION } from '../test/integration/services/localstack.ts';
import { OPENBAO_VERSION } from '../test/integration/services/openbao.ts';
import { ServiceError } from '../test/integration/services/service.ts';

const HELP = `Usage: npm run servers [-- --help]

Starts the servers that the integration tests run against, and keeps them until Ctrl-C:
  OpenBao ${OPENBAO_VERSION} (the API of HashiCorp Vault), in memory
  LocalStack ${LOCALSTACK_VERSION} (Secrets Manager and STS of AWS), in memory
  a Kubernetes API server ${kubernetesVersions().kubernetes} with etcd, without controllers and nodes
  Redis, in memory
  PostgreSQL

The first start on a machine installs them below the cache folder (about 7 minutes). Nothing is kept when they
stop. Servers that already run are used instead when these variables name them:
  SECRETBRIDGE_TEST_KUBECONFIG     a kubeconfig whose current context may do everything
  SECRETBRIDGE_TEST_VAULT_ADDR     the address of OpenBao or Vault (tried by itself: http://127.0.0.1:8200)
  SECRETBRIDGE_TEST_VAULT_TOKEN    a root token for it (tried by itself: root)
  SECRETBRIDGE_TEST_AWS_ENDPOINT   the address of LocalStack (tried by itself: http://127.0.0.1:4566)
  SECRETBRIDGE_TEST_REDIS_URL      redis://:PASSWORD@HOST:PORT
  SECRETBRIDGE_TEST_POSTGRES_URL   postgres://USER:PASSWORD@HOST:PORT/DATABASE of a user that may create databases
What \`docker compose up\` started is found without them.
`;

function describe({ kubernetes, openbao, localstack, redis, postgres }: Servers): string {
  const whose = (borrowed: boolean) => (borrowed ? ' (was already running, and keeps running)' : '');
  const audit = kubernetes.auditLogPath === undefined ? '' : `\n  audit log    ${kubernetes.auditLogPath}`;
  return `
OpenBao, which has the API of HashiCorp Vault${whose(openbao.borrowed)}
  address      ${openbao.address}
  root token   ${openbao.rootToken}
  secrets      key/value version 2 at secret/

LocalStack, which has the API of AWS Secrets Manager and STS${whose(localstack.borrowed)}
  endpoint     ${localstack.address}
  credentials  any; a 12-digit access key id is an account of its own

Kubernetes API server${whose(kubernetes.borrowed)}
  address      ${kubernetes.address}
  kubeconfig   ${kubernetes.kubeconfig}
  admin token  ${kubernetes.adminToken}${audit}

Redis${whose(redis.borrowed)}
  address      ${redis.address}

PostgreSQL${whose(postgres.borrowed)}
  address      ${postgres.url}

To use them in another shell, also for the tests:
export KUBECONFIG=${kubernetes.kubeconfig}
export VAULT_ADDR=${openbao.address}
export VAULT_TOKEN=${openbao.rootToken}
export SECRETBRIDGE_TEST_KUBECONFIG=$KUBECONFIG
export SECRETBRIDGE_TEST_VAULT_ADDR=$VAULT_ADDR
export SECRETBRIDGE_TEST_VAULT_TOKEN=$VAULT_TOKEN
export SECRETBRIDGE_TEST_AWS_ENDPOINT=${localstack.address}
export SECRETBRIDGE_TEST_REDIS_URL=${redis.address}
export SECRETBRIDGE_TEST_POSTGRES_URL=${postgres.url}

They run until you press Ctrl-C.
`;
}

/** Resolves with the reason why the servers must stop. */
function untilStopRequested(): Promise<'stop'> {
  return new Promise((resolve) => {
    // Ctrl-C can send the signal twice: the terminal sends it, and npm sends it. The second signal has no effect.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve('stop'));
    // `with-node.js` can forward signals, but not SIGKILL. Therefore poll whether `with-node.js` still runs.
    const launcher = Number(process.env.SECRETBRIDGE_LAUNCHER_PID);
    if (launcher !== process.ppid) return;
    setInterval(() => process.ppid === launcher || resolve('stop'), 1000).unref();
  });
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(HELP);
    return 0;
  }
  if (args.length > 0) {
    process.stderr.write(`Unknown option ${args[0]}.\n\n${HELP}`);
    return 2;
  }
  const stopRequest = untilStopRequested();
  const starting = startServers();
  if ((await Promise.race([starting, stopRequest])) === 'stop') {
    // Every server and every build ends when this process ends.
    process.exit(130);
  }
  const servers = await starting;
  process.stdout.write(describe(servers));
  const reason = await Promise.race([
    stopRequest,
    servers.kubernetes.unexpectedExit,
    servers.openbao.unexpectedExit,
    servers.localstack.unexpectedExit,
    servers.redis.unexpectedExit,
    servers.postgres.unexpectedExit,
  ]);
  process.stderr.write(
    reason === 'stop' ? '\nStopping the servers …\n' : `\n${reason} Stopping the others …\n`,
  );
  await servers[Symbol.asyncDispose]();
  return reason === 'stop' ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof ServiceError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
