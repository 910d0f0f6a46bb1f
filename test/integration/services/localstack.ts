import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, retryOnPortClash } from './free-port.ts';
import { assertStarting, startGuarded } from './guarded.ts';
import { createRequest, type Request, tryRequest } from './http.ts';
import { installed } from './install.ts';
import { findLocalStackPython } from './localstack-python.ts';
import { BORROWED, reportToStderr, type Service, ServiceError, type StartOptions, until } from './service.ts';

export const LOCALSTACK_VERSION = '4.14.0';
/** Where it is looked for first. */
export const LOCALSTACK_ADDRESS = 'http://127.0.0.1:4566';

/** What is asked of it, as its variable SERVICES says it. */
export const LOCALSTACK_SERVICES = 'secretsmanager,sts,sqs,events';

/** The last release that asks for no account, with what it needs pinned: newer ones of these break it. */
const REQUIREMENTS = [
  `localstack-core[base-runtime]==${LOCALSTACK_VERSION}`,
  'moto-ext[secretsmanager,sts,sqs,iam,events]==5.1.54',
  'cbor2<5.9',
  'pyopenssl<25',
  'service_identity',
  'python-crontab', // of EventBridge, which does not ask for it
];

/** Secrets Manager, STS, SQS and EventBridge of AWS, in memory. Takes any credentials. */
export interface LocalStack extends Service {
  /** False under a Python older than 3.12: then only Secrets Manager works. */
  readonly isWhole: boolean;
}

export interface LocalStackOptions extends StartOptions {
  /** False: start a new server in any case. */
  borrow?: boolean;
}

export async function startLocalStack(options: LocalStackOptions = {}): Promise<LocalStack> {
  const borrowed = options.borrow === false ? undefined : await borrowLocalStack(process.env);
  if (borrowed !== undefined) return borrowed;
  const python = await installLocalStack(options.report ?? reportToStderr);
  return retryOnPortClash(() => launch(python));
}

/** What already answers: at the configured address, or where `docker compose up` puts it. */
export async function borrowLocalStack(env: NodeJS.ProcessEnv): Promise<LocalStack | undefined> {
  const configured = env.SECRETBRIDGE_TEST_AWS_ENDPOINT;
  const address = configured ?? LOCALSTACK_ADDRESS;
  const send = createRequest({ address });
  if (await isReady(send)) {
    return {
      name: 'LocalStack',
      address,
      isWhole: await hasSts(send),
      ...BORROWED,
    };
  }
  if (configured === undefined) return undefined;
  // Somebody wanted that one; to test another one silently would mislead.
  throw new ServiceError(
    `${configured} does not answer as LocalStack with Secrets Manager. ` +
      'Check SECRETBRIDGE_TEST_AWS_ENDPOINT, or unset it to have a server started.',
  );
}

async function installLocalStack(report: (line: string) => void): Promise<string> {
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
      args: [
        ...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-cache-dir'],
        // Only ready-made files: building from source would need more than Python.
        ...['--only-binary=:all:', ...REQUIREMENTS],
      ],
      env: process.env,
    });
    // Started by its interpreter, an environment works wherever it is moved to.
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
        // It keeps lists of its plug-ins below the home folder, which would be wrong for another installation.
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
      isWhole: await hasSts(send),
    };
  });
}

async function isReady(send: Request): Promise<boolean> {
  const answer = await tryRequest(send, 'GET', '/_localstack/health');
  if (answer?.status !== 200) return false;
  const { services } = answer.body as { services?: Record<string, string> };
  return /^(available|running)$/.test(services?.secretsmanager ?? '');
}

/** Whether a login over STS works, as its use shows: LocalStack loads its services late. */
async function hasSts(send: Request): Promise<boolean> {
  const answer = await send('POST', '/', 'Action=GetCallerIdentity&Version=2011-06-15', {
    'content-type': 'application/x-www-form-urlencoded',
    authorization:
      'AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/sts/aws4_request, SignedHeaders=host, Signature=0',
  });
  return answer.status === 200;
}
