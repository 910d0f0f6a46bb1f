import type { Entry } from '../entry.ts';

/**
 * The commands that change nothing. The note of a `command` record starts with the command, and may continue with the
 * name of a mapping.
 */
const READ_ONLY_COMMANDS: readonly (string | undefined)[] = ['plan', 'explain', 'doctor'];

/** Whether an entry announces a change to the cluster. Such an entry must be recorded before the change is made. */
export function startsChange({ phase, action, note }: Entry): boolean {
  if (action === 'command') return !READ_ONLY_COMMANDS.includes(note?.split(' ', 1)[0]);
  return phase === 'intent' || ['release', 'rollback', 'unpin'].includes(action);
}

/** Whether an entry pins a target or ends a pin. */
export function isPinChange({ action, outcome }: Entry): boolean {
  return (action === 'rollback' || action === 'unpin') && outcome === 'ok';
}
