import { kubernetesVersions } from '../../test/integration/services/kubernetes-install.ts';
import { LOCALSTACK_VERSION } from '../../test/integration/services/localstack.ts';
import { OPENBAO_VERSION } from '../../test/integration/services/openbao.ts';
import { type Playground, type PlaygroundServer, SERVER_NAMES } from './playground.ts';

export const HELP = `Usage: npm run servers
       eval "$(npm run -s servers -- env)"
       npm run servers -- status
       npm run servers -- stop SERVER
       npm run servers -- start SERVER

Without a command, starts real servers to try secretbridge with, and keeps them until Ctrl-C:
  openbao      OpenBao ${OPENBAO_VERSION} (the API of HashiCorp Vault), port 8200
  localstack   LocalStack ${LOCALSTACK_VERSION} (Secrets Manager, Parameter Store, SQS and STS of AWS), port 4566
  kubernetes   a Kubernetes API server ${kubernetesVersions().kubernetes} with etcd, without controllers and nodes, port 6443
  redis        Redis, port 6379
  postgres     PostgreSQL, port 5432
If another program uses a port, the server uses another one and says so. The first start on a machine installs the
servers below the cache folder (about 7 minutes). Nothing is kept when they stop. All users of this machine can reach
the servers, so store no real secrets there.

The other commands work in another shell while the servers run:
  env          prints the variables for the shell: KUBECONFIG, VAULT_ADDR, VAULT_TOKEN, AWS_ENDPOINT_URL, REDIS_URL,
               DATABASE_URL, and a PATH with bao, kubectl and secretbridge. With --tests also the variables that make
               the tests use these servers
  status       prints the addresses, and which servers are stopped
  stop SERVER  an outage: ends all connections of the server and refuses new ones. The server keeps its data, and the
               other servers are not affected. Several names are allowed
  start SERVER ends the outage

Servers that already run are used instead when these variables name them:
  SECRETBRIDGE_TEST_KUBECONFIG     a kubeconfig whose current context may do everything
  SECRETBRIDGE_TEST_VAULT_ADDR     the address of OpenBao or Vault (tried by itself: http://127.0.0.1:8200)
  SECRETBRIDGE_TEST_VAULT_TOKEN    a root token for it (tried by itself: root)
  SECRETBRIDGE_TEST_AWS_ENDPOINT   the address of LocalStack (tried by itself: http://127.0.0.1:4566)
  SECRETBRIDGE_TEST_REDIS_URL      redis://:PASSWORD@HOST:PORT
  SECRETBRIDGE_TEST_POSTGRES_URL   postgres://USER:PASSWORD@HOST:PORT/DATABASE of a user that may create databases
What \`docker compose up\` started is found without them. Such servers cannot be stopped or started here.
`;

/** Describes each server in one line. */
export function describeServers({ servers, rootToken, kubeconfig, auditLog }: Playground): string {
  const details: Readonly<Record<PlaygroundServer['name'], string>> = {
    openbao: `root token ${rootToken}; key/value version 2 at secret/`,
    localstack: 'any credentials; a 12-digit access key id is an account of its own',
    kubernetes: `kubeconfig ${kubeconfig}${auditLog === undefined ? '' : `; audit log ${auditLog}`}`,
    redis: '',
    postgres: '',
  };
  return servers
    .map((server) => {
      const line = `${stateOf(server).padEnd(8)} ${server.name.padEnd(11)} ${server.url}`;
      return details[server.name] === '' ? line : `${line}\n${' '.repeat(21)}${details[server.name]}`;
    })
    .join('\n');
}

function stateOf({ port }: PlaygroundServer): string {
  if (port === undefined) return 'foreign';
  return port.isOpen ? 'running' : 'stopped';
}

export const READY = `
In another shell, in this folder:
  eval "$(npm run -s servers -- env)"     # addresses, credentials, and a PATH with bao, kubectl and secretbridge
  npm run servers -- stop openbao         # an outage: ${SERVER_NAMES.join(', ')}
  npm run servers -- start openbao        # the end of the outage; the data is still there

The servers run until you press Ctrl-C.
`;

/** Returns shell commands that set the variables of the servers. */
export function shellVariables(playground: Playground, forTests: boolean): string {
  const url = (wanted: PlaygroundServer['name']): string =>
    playground.servers.find(({ name }) => name === wanted)?.url ?? '';
  const { kubeconfig, rootToken, programs } = playground;
  const variables = {
    KUBECONFIG: kubeconfig,
    VAULT_ADDR: url('openbao'),
    VAULT_TOKEN: rootToken,
    // The command line of OpenBao prefers these two.
    BAO_ADDR: url('openbao'),
    BAO_TOKEN: rootToken,
    AWS_ENDPOINT_URL: url('localstack'),
    // LocalStack accepts any credentials. These replace real ones, which must not be sent to it.
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_REGION: 'us-east-1',
    REDIS_URL: url('redis'),
    DATABASE_URL: url('postgres'),
    ...(forTests && {
      SECRETBRIDGE_TEST_KUBECONFIG: kubeconfig,
      SECRETBRIDGE_TEST_VAULT_ADDR: url('openbao'),
      SECRETBRIDGE_TEST_VAULT_TOKEN: rootToken,
      SECRETBRIDGE_TEST_AWS_ENDPOINT: url('localstack'),
      SECRETBRIDGE_TEST_REDIS_URL: url('redis'),
      SECRETBRIDGE_TEST_POSTGRES_URL: url('postgres'),
    }),
  };
  const lines = Object.entries(variables).map(([name, value]) => `export ${name}=${quote(value)}`);
  return `${[...lines, `export PATH=${quote(programs.join(':'))}:"$PATH"`].join('\n')}\n`;
}

function quote(value: string): string {
  return /^[\w@%+=:,./-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}
