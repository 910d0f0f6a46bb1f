import { nextOpening } from '../../core/change-windows.ts';
import { durationText } from '../../core/clock.ts';
import { goDurationMs } from '../duration.ts';
import type { Json, Node, Notes } from '../node.ts';

/** The shorthands of cron patterns that External Secrets accepts. */
const SHORTHANDS: Readonly<Record<string, string>> = {
  '@annually': '0 0 1 1 *',
  '@yearly': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

const BY_HAND = 'Write the times as `windows`; see docs/how-to/change-windows.md.';

function isWithin(ms = 0): boolean {
  return ms >= 60_000 && ms <= 31 * 86_400_000;
}

/** Converts `syncWindows` to entries of `windows`, without their mapping and namespaces. */
export function windowsOf(spec: Node, notes: Notes): readonly Json[] {
  const node = spec.child('syncWindows');
  if (node === undefined) return [];
  const kind = node.text('kind');
  const windows = node.children('windows').flatMap((window): readonly Json[] => {
    const schedule = window.text('schedule') ?? '';
    const allow = SHORTHANDS[schedule] ?? schedule;
    const ms = goDurationMs(window.text('duration') ?? '');
    if (kind !== 'allow') return [];
    const isFiveFields = /^[^@\s]+(?: [^\s]+){4}$/.test(allow);
    if (!isFiveFields || nextOpening({ allow, timeZone: 'UTC' }, 0) === undefined || !isWithin(ms)) {
      notes.changed(window.path, 'has no equivalent, so changes do not wait for it', BY_HAND);
      return [];
    }
    return [{ allow, for: durationText(ms ?? 0), timeZone: 'UTC' }];
  });
  if (kind === 'allow')
    notes.changed(
      node.path,
      'becomes `windows`: the store is read at any time, a change waits for the window, and repairs and first syncs do not wait',
      'The take-over waits for the window too. To take over at another time, use `sync --override --reason TEXT`.',
    );
  else
    notes.changed(
      node.path,
      'forbids times, but `windows` allow times: a detected change is written at once',
      BY_HAND,
    );
  return windows;
}
