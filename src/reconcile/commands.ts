import { type Actor, type Entry, NO_KEYS } from '../audit/entry.ts';

/** A command of a person, and its mapping if it names one. */
export interface Command {
  readonly name: string;
  readonly mapping?: string | undefined;
}

/** Formats a command as people type it: verb, mapping if any, options. */
export function commandOf(verb: string, mapping?: string, ...options: readonly (string | number)[]): Command {
  const parts = [verb, ...(mapping === undefined ? [] : [mapping]), ...options];
  return { name: parts.join(' '), mapping };
}

/** Returns the record of a command that a person gave. */
export function commandEntry({ name, mapping }: Command, actor: Actor, requestId: string): Entry {
  return {
    actor,
    requestId,
    action: 'command',
    ...(mapping === undefined ? {} : { mapping }),
    outcome: 'ok',
    note: name,
    sources: [],
    keys: NO_KEYS,
    durationMs: 0,
    attempt: 1,
  };
}
