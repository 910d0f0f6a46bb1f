import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, retryOnPortClash } from './free-port.ts';
import { assertStarting, startGuarded } from './guarded.ts';
import { createRequest, type Request, tryRequest } from './http.ts';
import { installed, pipInstall } from './install.ts';
import { findLocalStackPython } from './localstack-python.ts';
import { BORROWED, reportToStderr, type Service, ServiceError, type StartOptions, until } from './service.ts';

export const LOCALSTACK_VERSION = '4.14.0';
/** The address that is tried before a server is started. */
export const LOCALSTACK_ADDRESS = 'http://127.0.0.1:4566';

/** The value of LocalStack's environment variable SERVICES. */
export const LOCALSTACK_SERVICES = 'secretsmanager,ssm,sts,sqs,events';

/**
 * LocalStack with AWS Secrets Manager, Parameter Store, STS, SQS and EventBridge, in memory. It accepts any credentials.
 */
export interface LocalStack extends Service {
  /** Whether all services work. With a Python older than 3.12, only Secrets Manager and Parameter Store work. */
  readonly isComplete: boolean;
}

export interface LocalStackOptions extends StartOptions {
  /** Whether a running server may be used. If false, a new server always starts. */
  borrow?: boolean;
}

export async function startLocalStack(options: LocalStackOptions = {}): Promise<LocalStack> {
  const borrowed = options.borrow === false ? undefined : await borrowLocalStack(process.env);
  if (borrowed !== undefined) return borrowed;
  const python = await installLocalStack(options.report ?? reportToStderr);
  return retryOnPortClash(() => launch(python));
}

/**
 * Returns the running server at the configured address or at the address of `docker compose up`. Undefined when neither
 * answers.
 */
export async function borrowLocalStack(env: NodeJS.ProcessEnv): Promise<LocalStack | undefined> {
  const configured = env.SECRETBRIDGE_TEST_AWS_ENDPOINT;
  const address = configured ?? LOCALSTACK_ADDRESS;
  const send = createRequest({ address });
  if (await isReady(send)) {
    return {
      name: 'LocalStack',
      address,
      isComplete: await hasSts(send),
      ...BORROWED,
    };
  }
  if (configured === undefined) return undefined;
  // Starting another server would be misleading, because the user configured this one.
  throw new ServiceError(
    `${configured} does not answer as LocalStack with Secrets Manager and Parameter Store. ` +
      'Check SECRETBRIDGE_TEST_AWS_ENDPOINT, or unset it to start a new server.',
  );
}

export async function installLocalStack(report: (line: string) => void): Promise<string> {
  const python = await findLocalStackPython(report);
  const name = `localstack-${LOCALSTACK_VERSION}-with-events-python-${python.version}`;
  const folder = await installed(name, report, async (draft, run) => {
    report(`Fetching LocalStack ${LOCALSTACK_VERSION} (500 MB, about a minute, once) …`);
    const venv = join(draft, 'work', 'venv');
    await run({
      name: 'python -m venv',
      command: python.command,
      args: ['-m', 'venv', venv],
      env: process.env,
    });
    await run({
      name: 'pip install localstack-core',
      command: join(venv, 'bin', 'python'),
      args: pipInstall('localstack'),
      env: process.env,
    });
    // The virtual environment still works after the rename, because its interpreter is started by path.
    await rename(venv, join(draft, 'venv'));
  });
  return join(folder, 'venv', 'bin', 'python');
}

async function launch(python: string): Promise<LocalStack> {
  return startGuarded('localstack', async (guard) => {
    const listen = `127.0.0.1:${await freePort()}`;
    const process = guard.start({
      name: 'LocalStack',
      command: python,
      args: ['-m', 'localstack.runtime.main'],
      env: {
        PATH: globalThis.process.env.PATH,
        // Use a new home folder, because LocalStack caches plugin lists in the home folder. The lists of another
        // installation would be wrong.
        HOME: guard.folder,
        TMPDIR: guard.folder,
        SERVICES: LOCALSTACK_SERVICES,
        GATEWAY_LISTEN: listen,
        LOCALSTACK_VOLUME_DIR: join(guard.folder, 'volume'),
        FILESYSTEM_ROOT: join(guard.folder, 'root'),
        SKIP_SSL_CERT_DOWNLOAD: '1',
        DISABLE_EVENTS: '1',
        DNS_ADDRESS: '0',
      },
    });
    const address = `http://${listen}`;
    const send = createRequest({ address });
    await until('The start of LocalStack', 120_000, async () => {
      await assertStarting(process);
      return isReady(send);
    });
    return {
      name: 'LocalStack',
      address,
      isComplete: await hasSts(send),
    };
  });
}

async function isReady(send: Request): Promise<boolean> {
  const answer = await tryRequest(send, 'GET', '/_localstack/health');
  if (answer?.status !== 200) return false;
  const { services } = answer.body as { services?: Record<string, string> };
  return ['secretsmanager', 'ssm'].every((name) => /^(available|running)$/.test(services?.[name] ?? ''));
}

/** Whether STS works. LocalStack loads its services late, so only a request can show this. */
async function hasSts(send: Request): Promise<boolean> {
  const answer = await send('POST', '/', 'Action=GetCallerIdentity&Version=2011-06-15', {
    'content-type': 'application/x-www-form-urlencoded',
    authorization:
      'AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/sts/aws4_request, SignedHeaders=host, Signature=0',
  });
  return answer.status === 200;
}
