import { loadConfig } from '../../config/load.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT, type ExitCode, exitCode } from '../exit.ts';
import { tellProblems } from '../require-config.ts';
import { StatusAnswer } from '../service/answers.ts';
import { answersAt, createClient } from '../service/client.ts';
import { unreachable } from '../service/error.ts';
import {
  configuredAddress,
  namedAddress,
  type ServerAddress,
  type ServerOptions,
} from '../service/server-address.ts';
import { print } from '../texts/output.ts';
import { isSettled, statusText } from '../texts/status.ts';
import { UsageError } from '../usage-error.ts';

export async function statusCommand(
  context: Context,
  options: GlobalOptions & ServerOptions & { all?: boolean },
): Promise<number> {
  const address = await addressOf(context, options);
  if (address === undefined) return EXIT.config;
  // Without a service, that is what to say, and not that the token for it is missing.
  const isMissing = options.server === undefined && !context.env.SECRETBRIDGE_TOKEN;
  if (isMissing && !(await answersAt(address, context)))
    throw unreachable(address.url, 'none of ours answers there');
  await using client = createClient(address, context);
  const status = await client.get('/api/v1/status', StatusAnswer);
  print(context, options.output, {
    data: status,
    human: (paint) => statusText(status, { now: context.clock.now(), all: options.all === true }, paint),
  });
  return verdict(status);
}

async function addressOf(
  context: Context,
  options: GlobalOptions & ServerOptions,
): Promise<ServerAddress | undefined> {
  if (options.server !== undefined) return namedAddress(options.server, options.allowHttp);
  const { env, cwd } = context;
  const loaded = await loadConfig({ paths: options.config ?? [], env, cwd });
  if (loaded.kind === 'usable') return configuredAddress(loaded.config, options.allowHttp);
  // The service goes on with what was valid before, and says so itself.
  const { http, problems } = loaded;
  const address = http && (await usable(() => configuredAddress({ http }, options.allowHttp)));
  if (address !== undefined && (await answersAt(address, context))) return address;
  tellProblems(context, options, problems);
  return undefined;
}

/** Not where the token may not be sent: the files are to be mended first. */
async function usable<T>(find: () => Promise<T>): Promise<T | undefined> {
  try {
    return await find();
  } catch (error) {
    if (error instanceof UsageError) return undefined;
    throw error;
  }
}

/** Whatever state needs a person, even where its code would heal. */
const FOR_A_PERSON: readonly string[] = ['refused', 'held', 'contested', 'drifted'];

function verdict({ config, engine, audit, cluster, stores, targets, held }: StatusAnswer): ExitCode {
  if (config?.valid === false) return EXIT.config;
  const person = (state: string) => FOR_A_PERSON.includes(state);
  const parts = [engine, audit, ...(cluster === undefined ? [] : [cluster]), ...stores];
  const troubled = [
    ...parts.filter(({ state }) => state !== 'up'),
    ...targets.filter((target) => !isSettled(target) && !person(target.state)),
  ];
  // What says no code is on its way: a target that waits for its first run, an engine that starts.
  if (troubled.some(({ code }) => code === undefined)) return EXIT.retry;
  return exitCode(
    troubled.flatMap(({ code }) => code ?? []),
    { person: held.length > 0 || targets.some(({ state }) => person(state)) },
  );
}
