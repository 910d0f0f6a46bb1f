import type { Command } from 'commander';
import type { ExplainedCalls, ExplainedTarget } from '../../commands/explain/explain.ts';
import type { ExplainedSource } from '../../commands/explain/sources.ts';
import { toPrintable } from '../../core/errors.ts';
import { formatTarget } from '../../core/target.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { exitCode } from '../errors.ts';
import { command, type Run } from '../options.ts';
import { INVALID_CONFIG, NEEDS_PERSON, RETRYABLE } from '../texts/help.ts';
import { count, type Paint, print, printErrorHint, shortFingerprint, table } from '../texts/output.ts';
import { timeText } from '../texts/record.ts';
import { withApp } from '../with-app.ts';

export function addExplain(program: Command, context: Context, run: Run): void {
  command(program, 'explain', 'Explain the state of a mapping: its targets, sources and last records.', {
    examples: ['secretbridge explain payments-db'],
    more: 'For each target, the command shows the state, the error with its remedy, the sources and the last audit records.',
    exits: [[0, 'the mapping is in sync'], INVALID_CONFIG, RETRYABLE, NEEDS_PERSON],
    see: ['status', 'audit list', 'docs/reference/errors.md'],
  })
    .argument('<mapping>', 'name of the mapping')
    .option('--calls', 'also show the requests per hour to its stores')
    .action((mapping: string, options: GlobalOptions & { calls?: boolean }) =>
      run(async () => explainCommand(context, { ...options, mapping })),
    );
}

export async function explainCommand(
  context: Context,
  options: GlobalOptions & { mapping: string; calls?: boolean },
): Promise<number> {
  return withApp(context, options, async (app) => {
    const { callsOf, explainMapping } = await import('../../commands/explain/explain.ts');
    const targets = await explainMapping(app, options.mapping, context.signal);
    const calls = options.calls === true ? callsOf(app, options.mapping) : undefined;
    print(context, options.output, {
      data: {
        mapping: options.mapping,
        targets: targets.map(targetData),
        ...(calls === undefined ? {} : { calls: calls.map(callsData) }),
      },
      human: (paint) =>
        [...targets.map((target) => targetText(target, paint)), ...(calls ?? []).map(callsText)].join('\n\n'),
    });
    printErrorHint(
      context,
      options.output,
      targets.flatMap(({ error, sources }) => [error?.code, ...sources.map((source) => source.error?.code)]),
    );
    const needsPerson = ({ state }: ExplainedTarget): boolean =>
      state === 'refused' || state === 'held' || state === 'contested';
    const failing = targets.filter((target) => !needsPerson(target));
    return exitCode(
      failing.flatMap(({ error }) => error?.code ?? []),
      { person: targets.some(needsPerson) },
    );
  });
}

function callsData({ perHour, added, oneByOne, ...calls }: ExplainedCalls): object {
  return { ...calls, callsPerHour: perHour, addedCallsPerHour: added, oneByOneCallsPerHour: oneByOne };
}

function callsText({ store, way, keys, perHour, added, oneByOne }: ExplainedCalls): string {
  return [
    `Requests to ${store} while nothing changes`,
    `  ${count(perHour, 'request')} per hour for the ${count(keys, 'key')} of all mappings${way === undefined ? '' : `, by ${way}`}`,
    `  ${added} of them because of this mapping`,
    `  ${oneByOne} per hour if each key of each target were read separately`,
  ].join('\n');
}

function targetData({ target, state, error, pinned, sources, lastRecords }: ExplainedTarget): object {
  return {
    ...target,
    state,
    ...error?.toJSON(),
    ...(pinned === undefined ? {} : { pinned }),
    sources: sources.map(sourceData),
    lastRecords,
  };
}

function sourceData({ source, state, version, error }: ExplainedSource): object {
  const { store, key, property } = source;
  return {
    store,
    key,
    ...(property === undefined ? {} : { property }),
    ...(version === undefined ? {} : { version }),
    state,
    ...(error === undefined ? {} : { code: error.code }),
  };
}

function targetText(
  { target, state, error, pinned, sources, lastRecords }: ExplainedTarget,
  paint: Paint,
): string {
  const style = state === 'synced' ? 'green' : error === undefined ? 'yellow' : 'red';
  const pin =
    pinned === undefined
      ? []
      : [
          `  Pinned to the source versions of record ${pinned}; changes of its sources are ignored.`,
          `  ${paint('dim', 'To follow its sources again, run `secretbridge unpin`.')}`,
        ];
  const why =
    error === undefined ? [] : [`  ${error.code}: ${error.message}`, `  ${paint('dim', error.remedy)}`];
  const records = table(
    lastRecords.map(({ sequence, time, action, phase, outcome, code }) => [
      `  ${String(sequence).padStart(String(lastRecords[0]?.sequence).length)}`,
      timeText(time),
      action,
      phase === 'intent' ? '(intent)' : outcome,
      code ?? '',
    ]),
  )
    .split('\n')
    .map((line) => line.trimEnd());
  return [
    `${paint(style, state)}  ${paint('bold', formatTarget(target))}`,
    ...why,
    ...pin,
    paint('bold', 'Sources'),
    ...sources.map((explainedSource) => sourceText(explainedSource, paint)),
    ...(lastRecords.length === 0 ? [] : [paint('bold', 'Last records'), ...records]),
  ].join('\n');
}

function sourceText({ source, state, version, error }: ExplainedSource, paint: Paint): string {
  const property = source.property === undefined ? '' : ` # ${source.property}`;
  const name = toPrintable(`${source.store}: ${source.key}${property}`);
  const which = version === undefined ? '' : `version ${shortFingerprint(version)}`;
  const detail = error?.code ?? which;
  return `  ${paint(state === 'found' ? 'green' : 'red', state.padEnd(6))}  ${name}  ${paint('dim', detail)}`.trimEnd();
}
