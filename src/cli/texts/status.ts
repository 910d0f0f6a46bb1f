import { isErrorCode } from '../../core/error-codes.ts';
import { AppError } from '../../core/errors.ts';
import { compareTargets, formatTarget } from '../../core/target.ts';
import { SYNC_STATES } from '../../core/words.ts';
import type { StatusAnswer, StatusTarget } from '../service/answers.ts';
import { safeText } from '../service/error.ts';
import { heldText, isListedAsHeld, pinText } from '../targets.ts';
import { ago, count, type Paint, type Style, table } from './output.ts';

/** The states, worst first. Unknown states of a newer service come before all others. */
const ORDER: readonly string[] = SYNC_STATES;
const IN_SYNC: readonly string[] = ['synced'];
/**
 * States that need no action. Targets in the state `pinned` are listed all the same, because the user should know about
 * them.
 */
const NO_ACTION_NEEDED: readonly string[] = [...IN_SYNC, 'pinned'];

const STYLES: Readonly<Record<string, Style>> = {
  up: 'green',
  degraded: 'yellow',
  down: 'red',
  synced: 'green',
  pinned: 'cyan',
  failed: 'red',
  refused: 'red',
};

/** The width of the state column. */
const STATE_WIDTH = 'degraded'.length;

/** Maximum number of listed targets with the same problem. */
const MAX_LISTED = 10;

export interface StatusTextOptions {
  /** The current time in milliseconds since 1970. */
  readonly now: number;
  /** Whether to list every target, including synced ones. */
  readonly all: boolean;
}

/** Whether the target needs no action. */
export function needsNoAction({ state }: StatusTarget): boolean {
  return NO_ACTION_NEEDED.includes(state);
}

function isInSync({ state }: StatusTarget): boolean {
  return IN_SYNC.includes(state);
}

export function statusText(status: StatusAnswer, options: StatusTextOptions, paint: Paint): string {
  const { instance, version, held } = status;
  const blocks = [
    [`${paint('bold', safeText(instance))}  ${paint('dim', `secretbridge ${safeText(version)}`)}`],
    partsText(status, paint),
    configText(status, paint),
    storesText(status, options, paint),
    eventsText(status, options, paint),
    notifyText(status, options, paint),
    ...targetsText(status, options, paint),
    heldText(held, paint).slice(0, -1),
    warningsText(status, paint),
    [summaryText(status, paint)],
  ];
  return blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

type Part = StatusAnswer['engine'];

/** Returns one line for each warning about a target. */
function warningsText({ warnings = [] }: StatusAnswer, paint: Paint): readonly string[] {
  return warnings.flatMap(({ code, namespace, secret, message }) =>
    namespace === undefined
      ? []
      : `${paint('yellow', 'warning')} ${safeText(`${code}: ${namespace}/${secret ?? ''}: ${message}`)}`,
  );
}

/** The codes of warnings about the audit log. With one of them, its state is not shown as good. */
const AUDIT_WARNINGS: readonly string[] = ['CHECKPOINTS_MISSING', 'AUDIT_ALTERED', 'RECORDS_UNVERIFIABLE'];

function partsText(
  { engine, audit, warnings = [], cluster, targets }: StatusAnswer,
  paint: Paint,
): readonly string[] {
  const doubt = warnings.find(({ code }) => AUDIT_WARNINGS.includes(code))?.code;
  const shownAudit =
    audit.state === 'up' && doubt !== undefined ? { ...audit, state: 'degraded', code: doubt } : audit;
  const rows = [
    ['engine', engine, ''],
    ['audit', shownAudit, `record ${audit.sequence}`],
    ...(cluster === undefined ? [] : [['cluster', cluster, ''] as const]),
  ] as const;
  return [
    ...lines(
      rows.map(([name, { kind, state, code }, more]) => [
        state,
        name,
        safeText(kind),
        safeText(code ?? more),
      ]),
      paint,
    ),
    ...remediesText(
      rows.map(([, { code }]) => code),
      targets,
      paint,
    ),
  ];
}

/**
 * Prints the message and remedy of each code. Codes of targets are omitted, because the list of targets explains them.
 */
function remediesText(
  codes: readonly (string | undefined)[],
  targets: readonly StatusTarget[],
  paint: Paint,
): readonly string[] {
  const shownCodes = new Set(targets.filter(({ remedy }) => remedy !== undefined).map(({ code }) => code));
  return [...new Set(codes)]
    .filter((code) => isErrorCode(code))
    .filter((code) => !shownCodes.has(code))
    .map((code) => new AppError(code))
    .flatMap(({ code, message, remedy }) => [
      `  ${code}: ${message}`,
      `  ${paint('dim', remedy.replace(/^No action needed\. /, ''))}`,
    ]);
}

const INCLUDE_EFFECTS: Readonly<Record<string, string>> = {
  disabled: 'its targets are kept and not updated',
  outdated: 'its last valid version is active',
};

function configText({ config, includes = [] }: StatusAnswer, paint: Paint): readonly string[] {
  if (config === undefined) return [];
  const { valid, problems, differing = [] } = config;
  const broken = includes.filter(({ state }) => state !== 'valid');
  const isMainValid = problems.length <= broken.reduce((sum, include) => sum + include.problems.length, 0);
  const invalid = isMainValid
    ? broken.map(
        ({ path, state, problems: own }) =>
          `The included file ${safeText(path)} has ${count(own.length, 'problem')}: ${INCLUDE_EFFECTS[state] ?? safeText(state)}.`,
      )
    : [`The configuration has ${count(problems.length, 'problem')}; the last valid one is active.`];
  const others = `Other replicas use a different configuration: ${differing.map(safeText).join(', ')}.`;
  return [
    ...(valid
      ? []
      : [`${paint('red', invalid.join('\n'))}\n  Run \`secretbridge validate\` and correct each problem.`]),
    ...(differing.length === 0
      ? []
      : [
          `${paint('yellow', others)}\n  Orphaned targets are not deleted until all replicas use the same configuration. If the difference persists, check the logs of the replicas.`,
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
      ...(code === undefined ? [] : [safeText(code)]),
      ...(breakerOpen ? ['paused (circuit breaker open)'] : []),
      Number.isNaN(last) ? 'not read yet' : `last read ${ago((now - last) / 1000)}`,
      ...callsText(calls),
    ];
    return [state, safeText(name), safeText(kind), notes.join(', ')];
  });
  const codes = stores.map(({ code }) => code);
  return [...lines(rows, paint), ...remediesText(codes, targets, paint)];
}

type Calls = Pick<StatusAnswer['stores'][number], 'way' | 'callsPerHour' | 'expectedCallsPerHour'>;

function callsText({ way, callsPerHour, expectedCallsPerHour }: Calls): readonly string[] {
  const expected =
    expectedCallsPerHour === undefined
      ? ''
      : ` (about ${expectedCallsPerHour} expected${way === undefined ? '' : ` by ${safeText(way)}`})`;
  return callsPerHour === undefined ? [] : [`${count(callsPerHour, 'request')} in the last hour${expected}`];
}

function eventsText({ events = [], targets }: StatusAnswer, options: StatusTextOptions, paint: Paint) {
  const parts = events.map(({ lastEvent, ...part }) => ({ ...part, last: lastEvent }));
  return namedPartsText(parts, { targets, word: 'event', prefix: 'events' }, options, paint);
}

function notifyText({ notify = [], targets }: StatusAnswer, options: StatusTextOptions, paint: Paint) {
  const parts = notify.map(({ lastSuccess, ...part }) => ({ ...part, last: lastSuccess }));
  return namedPartsText(parts, { targets, word: 'message', prefix: 'notify' }, options, paint);
}

/** Returns one line for each part, with the age of its last event or message. */
function namedPartsText(
  parts: readonly (Part & { readonly name: string; readonly last: string | undefined })[],
  about: { readonly targets: readonly StatusTarget[]; readonly word: string; readonly prefix: string },
  { now }: StatusTextOptions,
  paint: Paint,
): readonly string[] {
  const { targets, word, prefix } = about;
  const rows = parts.map(({ name, kind, state, code, last }) => {
    const at = last === undefined ? Number.NaN : Date.parse(last);
    const notes = [
      ...(code === undefined ? [] : [safeText(code)]),
      Number.isNaN(at) ? `no ${word} yet` : `last ${word} ${ago((now - at) / 1000)}`,
    ];
    return [state, `${prefix} ${safeText(name)}`, safeText(kind), notes.join(', ')];
  });
  const codes = parts.map(({ code }) => code);
  return [...lines(rows, paint), ...remediesText(codes, targets, paint)];
}

/** Formats rows and colors the state in their first cell. */
function lines(rows: readonly (readonly string[])[], paint: Paint): readonly string[] {
  if (rows.length === 0) return [];
  return table(rows.map(([state = '', ...cells]) => [state.padEnd(STATE_WIDTH), ...cells]))
    .split('\n')
    .map((line) => line.trimEnd().replace(/^\S+/, (state) => paint(STYLES[state] ?? 'yellow', state)));
}

/** Groups targets with the same problem, because all targets of a failed store have the same message. */
function targetsText(
  { targets, held }: StatusAnswer,
  { all }: StatusTextOptions,
  paint: Paint,
): readonly (readonly string[])[] {
  // Held changes are listed separately, with their ids.
  const isListed = isListedAsHeld(held);
  const shown = targets
    .filter((target) => all || !isInSync(target))
    .filter((target) => target.state !== 'held' || !isListed(target.mapping, target))
    .toSorted((a, b) => rank(a) - rank(b) || compareTargets(a, b));
  const groups = Map.groupBy(shown, ({ state, code, message }) => JSON.stringify([state, code, message]));
  return [...groups.values()].map((group) => groupText(group, all, paint));
}

function groupText(group: readonly StatusTarget[], all: boolean, paint: Paint): readonly string[] {
  const [first] = group;
  if (first === undefined) return [];
  const { state, code, message, remedy } = first;
  const why =
    code === undefined ? '' : `  ${safeText(code)}${message === undefined ? '' : `: ${safeText(message)}`}`;
  const named = group.slice(0, all ? group.length : MAX_LISTED);
  const rows = named.map((target) => [
    `  ${safeText(formatTarget(target))}`,
    `mapping ${safeText(target.mapping)}${pinText(target.pinned)}`,
    typeof target.staleSeconds !== 'number' || needsNoAction(target)
      ? ''
      : `last synced ${ago(target.staleSeconds)}`,
  ]);
  return [
    `${paint(STYLES[state] ?? 'yellow', safeText(state))}${why}`,
    ...(remedy === undefined ? [] : [`  ${paint('dim', safeText(remedy))}`]),
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
  const parts = [...counts].map(([state, group]) => `${group.length} ${safeText(state)}`);
  const style = targets.every(needsNoAction) ? 'green' : 'bold';
  return paint(
    style,
    `${count(targets.length, 'target')}${parts.length === 0 ? '' : `: ${parts.join(', ')}`}.`,
  );
}

function rank({ state }: StatusTarget): number {
  return ORDER.indexOf(state);
}
