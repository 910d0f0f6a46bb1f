import { isErrorCode } from '../../core/error-codes.ts';
import { AppError } from '../../core/errors.ts';
import { compareTargets, formatTarget } from '../../core/target.ts';
import type { StatusAnswer, StatusTarget } from '../service/answers.ts';
import { plain } from '../service/error.ts';
import { heldText, pinText } from '../targets.ts';
import { count, type Paint, type Style, table } from './output.ts';

/** Worst first; whatever is not named here comes before all, since this version does not know it. */
const ORDER: readonly string[] = [
  'failed',
  'refused',
  'held',
  'contested',
  'drifted',
  'stale',
  'waiting',
  'pinned',
  'synced',
];
const IN_STEP: readonly string[] = ['synced'];
/** Nothing is wrong with it, but somebody should know. */
const SETTLED: readonly string[] = [...IN_STEP, 'pinned'];

const STYLES: Readonly<Record<string, Style>> = {
  up: 'green',
  degraded: 'yellow',
  down: 'red',
  synced: 'green',
  pinned: 'cyan',
  failed: 'red',
  refused: 'red',
};

/** So that the blocks stand in line. */
const WIDEST_STATE = 'degraded'.length;

/** Of targets with the same trouble, so many are named. */
const NAMED = 10;

const RELEASE = 'Let it happen with `secretbridge release ID`, or correct the mapping.';

export interface StatusTextOptions {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Name each target, those in step as well. */
  readonly all: boolean;
}

/** Whether nobody has to do anything about it. */
export function isSettled({ state }: StatusTarget): boolean {
  return SETTLED.includes(state);
}

function isInStep({ state }: StatusTarget): boolean {
  return IN_STEP.includes(state);
}

export function statusText(status: StatusAnswer, options: StatusTextOptions, paint: Paint): string {
  const { instance, version, held } = status;
  const blocks = [
    [`${paint('bold', plain(instance))}  ${paint('dim', `secretbridge ${plain(version)}`)}`],
    partsText(status, paint),
    configText(status, paint),
    storesText(status, options, paint),
    eventsText(status, options, paint),
    ...targetsText(status, options, paint),
    held.length === 0 ? [] : [...heldText(held, paint).slice(0, -1), `  ${paint('dim', RELEASE)}`],
    [summaryText(status, paint)],
  ];
  return blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

function partsText({ engine, audit, cluster, targets }: StatusAnswer, paint: Paint): readonly string[] {
  const rows = [
    ['engine', engine, ''],
    ['audit', audit, `record ${audit.sequence}`],
    ...(cluster === undefined ? [] : [['cluster', cluster, ''] as const]),
  ] as const;
  return [
    ...lines(
      rows.map(([name, { kind, state, code }, more]) => [state, name, plain(kind), plain(code ?? more)]),
      paint,
    ),
    ...whatToDo(
      rows.map(([, { code }]) => code),
      targets,
      paint,
    ),
  ];
}

/** What each code says, and what to do; those that targets have are said where these stand. */
function whatToDo(
  codes: readonly (string | undefined)[],
  targets: readonly StatusTarget[],
  paint: Paint,
): readonly string[] {
  const said = new Set(targets.filter(({ remedy }) => remedy !== undefined).map(({ code }) => code));
  return [...new Set(codes)]
    .filter((code) => isErrorCode(code))
    .filter((code) => !said.has(code))
    .map((code) => new AppError(code))
    .flatMap(({ code, message, todo }) => [
      `  ${code}: ${message}`,
      `  ${paint('dim', todo.replace(/^Nothing at once; i/, 'I'))}`,
    ]);
}

function configText({ config }: StatusAnswer, paint: Paint): readonly string[] {
  if (config === undefined) return [];
  const { valid, problems, differing = [] } = config;
  const invalid = `The configuration has ${count(problems.length, 'problem')}; the last valid one is in force.`;
  const others = `Other replicas work by another configuration: ${differing.map(plain).join(', ')}.`;
  return [
    ...(valid
      ? []
      : [`${paint('red', invalid)}\n  Run \`secretbridge validate\` and correct each place it names.`]),
    ...(differing.length === 0
      ? []
      : [
          `${paint('yellow', others)}\n  What left it is not deleted until they agree; look at their logs if it stays.`,
        ]),
  ];
}

function storesText(
  { stores, targets }: StatusAnswer,
  { now }: StatusTextOptions,
  paint: Paint,
): readonly string[] {
  const rows = stores.map(({ name, kind, state, code, lastSuccess, breakerOpen, ...calls }) => {
    const last = Date.parse(lastSuccess ?? '');
    const notes = [
      ...(code === undefined ? [] : [plain(code)]),
      ...(breakerOpen ? ['calls are held back'] : []),
      Number.isNaN(last) ? 'not read yet' : `last read ${ago((now - last) / 1000)}`,
      ...callsText(calls),
    ];
    return [state, plain(name), plain(kind), notes.join(', ')];
  });
  const codes = stores.map(({ code }) => code);
  return [...lines(rows, paint), ...whatToDo(codes, targets, paint)];
}

type Calls = Pick<StatusAnswer['stores'][number], 'way' | 'callsPerHour' | 'expectedCallsPerHour'>;

function callsText({ way, callsPerHour, expectedCallsPerHour }: Calls): readonly string[] {
  const expected =
    expectedCallsPerHour === undefined
      ? ''
      : ` (about ${expectedCallsPerHour} expected${way === undefined ? '' : ` by ${plain(way)}`})`;
  return callsPerHour === undefined ? [] : [`${count(callsPerHour, 'call')} in the last hour${expected}`];
}

function eventsText(status: StatusAnswer, { now }: StatusTextOptions, paint: Paint): readonly string[] {
  const { events = [] } = status;
  const rows = events.map(({ name, kind, state, code, lastEvent }) => {
    const last = lastEvent === undefined ? Number.NaN : Date.parse(lastEvent);
    const notes = [
      ...(code === undefined ? [] : [plain(code)]),
      Number.isNaN(last) ? 'no event yet' : `last event ${ago((now - last) / 1000)}`,
    ];
    return [state, `events ${plain(name)}`, plain(kind), notes.join(', ')];
  });
  return [
    ...lines(rows, paint),
    ...whatToDo(
      events.map(({ code }) => code),
      status.targets,
      paint,
    ),
  ];
}

/** The first cell is a state, and has its colour. */
function lines(rows: readonly (readonly string[])[], paint: Paint): readonly string[] {
  if (rows.length === 0) return [];
  return table(rows.map(([state = '', ...cells]) => [state.padEnd(WIDEST_STATE), ...cells]))
    .split('\n')
    .map((line) => line.trimEnd().replace(/^\S+/, (state) => paint(STYLES[state] ?? 'yellow', state)));
}

/** One block for each trouble, since a store that is down has the same to say of each of its targets. */
function targetsText(
  { targets, held }: StatusAnswer,
  { all }: StatusTextOptions,
  paint: Paint,
): readonly (readonly string[])[] {
  // What is held stands below, with its id.
  const ids = new Set(held.map(({ mapping, ...target }) => `${mapping} ${formatTarget(target)}`));
  const shown = targets
    .filter((target) => all || !isInStep(target))
    .filter((it) => it.state !== 'held' || !ids.has(`${it.mapping} ${formatTarget(it)}`))
    .toSorted((a, b) => rank(a) - rank(b) || compareTargets(a, b));
  const groups = Map.groupBy(shown, ({ state, code, message }) => JSON.stringify([state, code, message]));
  return [...groups.values()].map((group) => groupText(group, all, paint));
}

function groupText(group: readonly StatusTarget[], all: boolean, paint: Paint): readonly string[] {
  const [first] = group;
  if (first === undefined) return [];
  const { state, code, message, remedy } = first;
  const why =
    code === undefined ? '' : `  ${plain(code)}${message === undefined ? '' : `: ${plain(message)}`}`;
  const named = group.slice(0, all ? group.length : NAMED);
  const rows = named.map((target) => [
    `  ${plain(formatTarget(target))}`,
    `mapping ${plain(target.mapping)}${pinText(target.pinned)}`,
    typeof target.staleSeconds !== 'number' || isSettled(target) ? '' : `in step ${ago(target.staleSeconds)}`,
  ]);
  return [
    `${paint(STYLES[state] ?? 'yellow', plain(state))}${why}`,
    ...(remedy === undefined ? [] : [`  ${paint('dim', plain(remedy))}`]),
    ...table(rows)
      .split('\n')
      .map((line) => line.trimEnd()),
    ...(group.length > named.length ? [`  … and ${group.length - named.length} more`] : []),
  ];
}

function summaryText({ targets }: StatusAnswer, paint: Paint): string {
  const counts = Map.groupBy(
    targets.toSorted((a, b) => rank(b) - rank(a)),
    ({ state }) => state,
  );
  const parts = [...counts].map(([state, its]) => `${its.length} ${plain(state)}`);
  const style = targets.every(isSettled) ? 'green' : 'bold';
  return paint(
    style,
    `${count(targets.length, 'target')}${parts.length === 0 ? '' : `: ${parts.join(', ')}`}.`,
  );
}

function rank({ state }: StatusTarget): number {
  return ORDER.indexOf(state);
}

/** `12s ago`, `3m ago`, `5h ago`, `2d ago`; clocks of two machines may differ. */
function ago(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 120) return `${whole}s ago`;
  if (whole < 7_200) return `${Math.round(whole / 60)}m ago`;
  if (whole < 172_800) return `${Math.round(whole / 3_600)}h ago`;
  return `${Math.round(whole / 86_400)}d ago`;
}
