import type { AppError } from '../core/errors.ts';
import { largest } from '../core/lists.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import type { KeyPlan } from '../sync/drift.ts';
import { safeText } from './service/error.ts';
import { type Paint, type Style, shortFingerprint } from './texts/output.ts';
import { timeText } from './texts/record.ts';

interface TargetResult {
  readonly mapping: string;
  readonly target: TargetId;
  readonly error?: AppError;
  readonly keys: readonly KeyPlan[];
  readonly pinned?: number;
}

/** Returns a target as it appears in the JSON of `plan` and `sync`. */
export function targetData(
  { mapping, target, error, keys, pinned }: TargetResult,
  word: 'action' | 'outcome',
  what: string,
): object {
  const { namespace, secret } = target;
  const pin = pinned === undefined ? {} : { pinned };
  return { mapping, namespace, secret, [word]: what, ...error?.toJSON(), keys, ...pin };
}

/** Returns one line for each warning about a target. */
export function warningLines(
  warnings: readonly (TargetId & { readonly code: string; readonly message: string })[],
  paint: Paint,
): readonly string[] {
  return warnings.map(
    ({ code, message, ...target }) =>
      `${paint('yellow', 'warning')} ${safeText(code)}: ${safeText(formatTarget(target))}: ${safeText(message)}`,
  );
}

export function pinText(pinned: number | undefined): string {
  return pinned === undefined ? '' : `, pinned to record ${pinned}`;
}

/** A held change, found by this process or by a service. */
export interface HeldChange extends TargetId {
  readonly id: string;
  readonly mapping: string;
  readonly keys: readonly { readonly name: string }[];
  /** Why the change waits. */
  readonly reason?: string | undefined;
  /** RFC 3339: when the change was first held. */
  readonly since?: string | undefined;
}

export function heldText(held: readonly HeldChange[], paint: Paint): readonly string[] {
  if (held.length === 0) return [];
  return [
    ...held.flatMap((heldChange) => [
      `${paint('yellow', 'held')} ${safeText(`${heldChange.id}  ${formatTarget(heldChange)}  would lose ${heldChange.keys.map(({ name }) => name).join(', ')}`)}`,
      ...reasonText(heldChange),
    ]),
    `  ${paint('dim', 'Approve with `secretbridge release ID`, or correct the mapping.')}`,
    '',
  ];
}

function reasonText({ reason, since }: HeldChange): readonly string[] {
  const parts = [
    ...(reason === undefined ? [] : [reason]),
    ...(since === undefined ? [] : [`held since ${timeText(since)} UTC`]),
  ];
  return parts.length === 0 ? [] : [`  ${safeText(parts.join('; '))}`];
}

/** Whether a target is one of the held changes, which are listed with their ids. */
export function isListedAsHeld(
  held: readonly (TargetId & { readonly mapping: string })[],
): (mapping: string, target: TargetId) => boolean {
  const names = new Set(held.map(({ mapping, ...target }) => `${mapping} ${formatTarget(target)}`));
  return (mapping, target) => names.has(`${mapping} ${formatTarget(target)}`);
}

const SIGNS: Readonly<Record<KeyPlan['action'], readonly [string, Style]>> = {
  add: ['+', 'green'],
  change: ['~', 'yellow'],
  remove: ['-', 'red'],
  keep: ['=', 'dim'],
};

/** Returns one line for each key. Values are never shown, only a placeholder and the fingerprint. */
export function keyLines(keys: readonly KeyPlan[], paint: Paint): readonly string[] {
  const width = Math.max(0, largest(keys.map(({ name }) => name.length)));
  return keys.map(({ name, action, before, after }) => {
    const [sign, style] = SIGNS[action];
    const prints = [before, after].filter((fingerprint) => fingerprint !== undefined).map(shortFingerprint);
    const shown = action === 'keep' ? prints.slice(0, 1) : prints;
    return `  ${paint(style, `${sign} ${name.padEnd(width)}`)}  (sensitive)  ${paint('dim', shown.join(' → '))}`;
  });
}
