import { type ExplainedSource, type ExplainedTarget, explainMapping } from '../../app/explain.ts';
import { formatTarget } from '../../core/target.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { exitCode } from '../exit.ts';
import { type Paint, print, shortFingerprint, table } from '../output.ts';
import { timeText } from '../record-text.ts';
import { withApp } from '../with-app.ts';

export async function explainCommand(
  context: Context,
  options: GlobalOptions & { mapping: string },
): Promise<number> {
  return withApp(context, options, async (app) => {
    const targets = await explainMapping(app, options.mapping);
    print(context, options.output, {
      data: { mapping: options.mapping, targets: targets.map(targetData) },
      human: (paint) => targets.map((target) => targetText(target, paint)).join('\n\n'),
    });
    const isHeldUp = ({ state }: ExplainedTarget): boolean =>
      state === 'refused' || state === 'held' || state === 'contested';
    const failing = targets.filter((target) => !isHeldUp(target));
    return exitCode(
      failing.flatMap(({ error }) => error?.code ?? []),
      { person: targets.some(isHeldUp) },
    );
  });
}

function targetData({ target, state, error, sources, lastRecords }: ExplainedTarget): object {
  return {
    ...target,
    state,
    ...error?.toJSON(),
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

function targetText({ target, state, error, sources, lastRecords }: ExplainedTarget, paint: Paint): string {
  const style = state === 'synced' ? 'green' : error === undefined ? 'yellow' : 'red';
  const why =
    error === undefined ? [] : [`  ${error.code}: ${error.message}`, `  ${paint('dim', error.todo)}`];
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
    paint('bold', 'Sources'),
    ...sources.map((it) => sourceText(it, paint)),
    ...(lastRecords.length === 0 ? [] : [paint('bold', 'Last records'), ...records]),
  ].join('\n');
}

function sourceText({ source, state, version, error }: ExplainedSource, paint: Paint): string {
  const name = `${source.store}: ${source.key}${source.property === undefined ? '' : ` # ${source.property}`}`;
  const detail = version === undefined ? (error?.code ?? '') : `version ${shortFingerprint(version)}`;
  return `  ${paint(state === 'found' ? 'green' : 'red', state.padEnd(6))}  ${name}  ${paint('dim', detail)}`.trimEnd();
}
