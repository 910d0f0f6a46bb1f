import type { Command } from 'commander';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT, type ExitCode, exitCode, UsageError } from '../errors.ts';
import { command, type Run, withServer } from '../options.ts';
import type { StatusAnswer as Status } from '../service/answers.ts';
import {
  configuredAddress,
  filesWithoutMappings,
  namedAddress,
  type ServerAddress,
  type ServerOptions,
} from '../service/server-address.ts';
import { NEEDS_PERSON, RETRYABLE } from '../texts/help.ts';
import { print, printErrorHint } from '../texts/output.ts';
import { needsNoAction, statusText } from '../texts/status.ts';
import { printProblems } from '../with-app.ts';

export function addStatus(program: Command, context: Context, run: Run): void {
  const status = command(
    program,
    'status',
    'Show the state of a running service: its parts, stores and targets.',
    {
      examples: [
        'secretbridge status',
        'secretbridge status --server https://secretbridge.internal:8080 --output json',
      ],
      more: 'Without --server, the token is sent only to the service of the instance in the configuration.',
      exits: [
        [0, 'all targets are in sync and all parts work'],
        [3, 'the configuration files are invalid, and the last valid configuration is active'],
        RETRYABLE,
        NEEDS_PERSON,
      ],
      see: ['explain', 'release', 'docs/how-to/watch-the-bridge.md'],
    },
  ).option('-a, --all', 'also list targets that are in sync');
  withServer(status, 'address of the service (default: `http.listen` in the configuration)').action(
    (options: GlobalOptions & ServerOptions & { all?: boolean }) =>
      run(async () => statusCommand(context, options)),
  );
}

export async function statusCommand(
  context: Context,
  options: GlobalOptions & ServerOptions & { all?: boolean },
): Promise<number> {
  const { createClient } = await import('../service/client.ts');
  const { StatusAnswer } = await import('../service/answers.ts');
  const address = await addressOf(context, options);
  if (address === undefined) return EXIT.config;
  await using client = createClient(address, context);
  const status = await client.get('/api/v1/status', StatusAnswer);
  print(context, options.output, {
    data: status,
    human: (paint) => statusText(status, { now: context.clock.now(), all: options.all === true }, paint),
  });
  printErrorHint(
    context,
    options.output,
    [status.engine, status.audit, ...status.stores, ...status.targets].map(({ code }) => code),
  );
  return verdict(status);
}

/**
 * Returns the address in `--server`, or the configured address if the service of this instance answers there. Returns
 * undefined if the problems of the configuration were printed. @throws AppError SERVICE_UNAVAILABLE
 */
async function addressOf(
  context: Context,
  options: GlobalOptions & ServerOptions,
): Promise<ServerAddress | undefined> {
  if (options.server !== undefined) return namedAddress(options.server, options.allowHttp);
  const { env, cwd } = context;
  const { loadConfig } = await import('../../config/load.ts');
  const { orNothing, requireInstance } = await import('../service/client.ts');
  const input = { paths: options.config ?? [], env, cwd };
  // Try to reach the service before reading the mappings, because many mappings take long. Try it even if the
  // configuration is invalid: a running service keeps its last valid configuration, and its status reports that the new
  // configuration is invalid.
  const early = await loadConfig({ ...input, readFs: filesWithoutMappings });
  const { http, instance } = early.kind === 'usable' ? early.config : early;
  const address = http && (await addressOrUndefined(() => configuredAddress({ http }, options.allowHttp)));
  if (address !== undefined && instance !== undefined) {
    const isOurs = async () => {
      await requireInstance(address, instance, context);
      return true;
    };
    if (await orNothing(isOurs)) return address;
  }
  const loaded = await loadConfig(input);
  if (loaded.kind !== 'usable') {
    await printProblems(context, options, loaded.problems);
    return undefined;
  }
  const configured = await configuredAddress(loaded.config, options.allowHttp);
  await requireInstance(configured, loaded.config.instance, context);
  return configured;
}

/**
 * Returns undefined if the token must not be sent to the address of the service. In this case, the caller reports the
 * problems of the configuration first.
 */
async function addressOrUndefined<T>(find: () => Promise<T>): Promise<T | undefined> {
  try {
    return await find();
  } catch (error) {
    if (error instanceof UsageError) return undefined;
    throw error;
  }
}

/** States of a target that need action by a person, even if the error code is transient. */
const PERSON_STATES: readonly string[] = ['refused', 'held', 'contested', 'drifted'];

function verdict({ config, engine, audit, cluster, stores, targets, held }: Status): ExitCode {
  if (config?.valid === false) return EXIT.config;
  const person = (state: string) => PERSON_STATES.includes(state);
  const parts = [engine, audit, ...(cluster === undefined ? [] : [cluster]), ...stores];
  const unhealthy = [
    ...parts.filter(({ state }) => state !== 'up'),
    ...targets.filter((target) => !needsNoAction(target) && !person(target.state)),
  ];
  // A part of the service without an error code is still starting. Examples are a target before its first run, and an
  // engine that is connecting.
  if (unhealthy.some(({ code }) => code === undefined)) return EXIT.retry;
  return exitCode(
    unhealthy.flatMap(({ code }) => code ?? []),
    { person: held.length > 0 || targets.some(({ state }) => person(state)) },
  );
}
