import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT, UsageError } from '../errors.ts';
import { command, type Run, withServer } from '../options.ts';
import type { Client } from '../service/client.ts';
import { safeText } from '../service/error.ts';
import { namedAddress, type ServerAddress, type ServerOptions } from '../service/server-address.ts';
import { changeLogin, loginsPath, readLogins } from '../service/stored-logins.ts';
import { LoginAnswer } from '../service/token.ts';
import { NEEDS_PERSON, RETRYABLE } from '../texts/help.ts';
import { print, printNotice } from '../texts/output.ts';

const DeviceAnswer = z.looseObject({
  deviceCode: z.string(),
  userCode: z.string(),
  verificationUri: z.string(),
  verificationUriComplete: z.string().optional(),
  expiresInSeconds: z.number(),
  intervalSeconds: z.number(),
});
const Pending = z.looseObject({ pending: z.literal(true), slowDown: z.boolean() });
const Session = z.looseObject({
  name: z.string(),
  role: z.string(),
  namespaces: z.array(z.string()).optional(),
  endsAt: z.string().optional(),
});

type Options = GlobalOptions & ServerOptions;

export function addLogin(program: Command, context: Context, run: Run): void {
  const login = command(
    program,
    'login',
    'Sign in to a service with `http.oidc`. You confirm it in any browser.',
    {
      examples: ['secretbridge login --server https://secretbridge.internal:8080'],
      more: 'The token is stored in a file that only you can read. Commands with the same --server use it, unless SECRETBRIDGE_TOKEN is set.',
      exits: [[0, 'you are signed in'], RETRYABLE, NEEDS_PERSON],
      see: ['whoami', 'logout', 'docs/how-to/sign-in.md'],
    },
  );
  withServer(login, 'address of the service').action((options: Options) =>
    run(async () => loginCommand(context, options)),
  );
}

export function addLogout(program: Command, context: Context, run: Run): void {
  const logout = command(program, 'logout', 'End the login at a service, and delete its token.', {
    examples: ['secretbridge logout'],
    exits: [[0, 'you are signed out'], RETRYABLE, NEEDS_PERSON],
    see: ['login', 'docs/how-to/sign-in.md'],
  });
  withServer(logout, 'address of the service (default: the only login)').action((options: Options) =>
    run(async () => logoutCommand(context, options)),
  );
}

export function addWhoami(program: Command, context: Context, run: Run): void {
  const whoami = command(
    program,
    'whoami',
    'Show as whom a service knows you, with your role and namespaces.',
    {
      examples: ['secretbridge whoami', 'secretbridge whoami --server https://secretbridge.internal:8080'],
      exits: [[0, 'the service accepts your token'], RETRYABLE, NEEDS_PERSON],
      see: ['login', 'docs/how-to/sign-in.md'],
    },
  );
  withServer(whoami, 'address of the service (default: the only login)').action((options: Options) =>
    run(async () => whoamiCommand(context, options)),
  );
}

function requireLoginsPath({ env }: Context): string {
  const path = loginsPath({ env });
  if (path !== undefined) return path;
  throw new AppError('CREDENTIAL_MISSING', {
    detail: 'the environment variables HOME and XDG_CONFIG_HOME are not set, so there is no place for logins',
    remedy: 'Set HOME or XDG_CONFIG_HOME.',
  });
}

async function loginCommand(context: Context, options: Options): Promise<number> {
  if (options.server === undefined) throw new UsageError('--server must name the address of the service');
  const address = namedAddress(options.server, options.allowHttp);
  const path = requireLoginsPath(context);
  await readLogins(path);
  const { createClient } = await import('../service/client.ts');
  await using anonymous = createClient(address, context, async () => undefined);
  const login = await signIn(anonymous, address, context);
  await changeLogin(path, address.url, async () => login);
  const token = { text: login.token, origin: path };
  await using client = createClient(address, context, async () => token);
  await printSession(client, address, context, options);
  if (context.env.SECRETBRIDGE_TOKEN)
    printNotice(context, 'SECRETBRIDGE_TOKEN is set, so commands use it instead of this login.');
  return EXIT.ok;
}

/** Waits until the person has confirmed the sign-in. */
async function signIn(client: Client, { url }: ServerAddress, context: Context) {
  const device = await startDevice(client, url);
  const { deviceCode, userCode, verificationUri, verificationUriComplete = verificationUri } = device;
  printNotice(
    context,
    `Open ${safeText(verificationUriComplete)} in a browser, and confirm the code ${safeText(userCode)}.`,
  );
  const until = Date.now() + device.expiresInSeconds * 1_000;
  let waitSeconds = Math.max(1, device.intervalSeconds);
  while (Date.now() < until) {
    await sleep(waitSeconds * 1_000, undefined, { signal: context.signal });
    const answer = await client.post('/auth/token', z.union([Pending, LoginAnswer]), { deviceCode });
    if (!('pending' in answer)) return LoginAnswer.parse(answer);
    if (answer.slowDown === true) waitSeconds += SLOW_DOWN_SECONDS;
  }
  throw new AppError('SIGN_IN_REFUSED', { detail: 'the sign-in was not confirmed in time' });
}

/** RFC 8628, section 3.5. */
const SLOW_DOWN_SECONDS = 5;

async function startDevice(client: Client, url: string) {
  try {
    return await client.post('/auth/device', DeviceAnswer);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'NOT_FOUND') throw error;
    throw new AppError('NOT_FOUND', {
      subject: url,
      detail: 'the service has no sign-in by OIDC',
      remedy: 'Add `http.oidc` to the configuration of the service, or use a token in SECRETBRIDGE_TOKEN.',
    });
  }
}

async function logoutCommand(context: Context, options: Options): Promise<number> {
  const address = await addressOf(context, options);
  const path = requireLoginsPath(context);
  const { [address.url]: login } = await readLogins(path);
  if (login === undefined) throw new UsageError(`there is no login at ${address.url}`);
  const { createClient } = await import('../service/client.ts');
  await using client = createClient(address, context, async () => ({ text: login.token, origin: path }));
  try {
    await client.post('/auth/logout', z.unknown());
  } finally {
    // Without an answer of the service, the session lasts until its end, but its token is gone from this machine.
    await changeLogin(path, address.url, async () => undefined);
  }
  print(context, options.output, {
    data: { server: address.url, name: login.name },
    human: () => `Signed out ${login.name} at ${address.url}.`,
  });
  return EXIT.ok;
}

async function whoamiCommand(context: Context, options: Options): Promise<number> {
  const address = await addressOf(context, options);
  const { createClient } = await import('../service/client.ts');
  await using client = createClient(address, context);
  await printSession(client, address, context, options);
  return EXIT.ok;
}

/** Returns the address in `--server`, or that of the only login. */
async function addressOf(context: Context, { server, allowHttp }: Options): Promise<ServerAddress> {
  if (server !== undefined) return namedAddress(server, allowHttp);
  const [url, ...others] = Object.keys(await readLogins(requireLoginsPath(context)));
  if (url === undefined)
    throw new UsageError('there is no login; use --server, or sign in with `secretbridge login`');
  if (others.length > 0)
    throw new UsageError(`there are several logins; use --server with one of ${[url, ...others].join(', ')}`);
  return namedAddress(url, allowHttp);
}

async function printSession(
  client: Client,
  { url }: ServerAddress,
  context: Context,
  { output }: Options,
): Promise<void> {
  const { name, role, namespaces, endsAt } = await client.get('/api/v1/session', Session);
  const where = namespaces === undefined ? 'all namespaces' : namespaces.join(', ');
  print(context, output, {
    data: {
      ...{ server: url, name, role },
      ...(namespaces === undefined ? {} : { namespaces }),
      ...(endsAt === undefined ? {} : { endsAt }),
    },
    human: (paint) => `${paint('bold', name)}  ${role}  ${where}\n${url}`,
  });
}
