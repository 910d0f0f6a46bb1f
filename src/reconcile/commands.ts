import { type Actor, type Entry, NO_KEYS } from '../audit/entry.ts';

/** What a person has asked for, and of which mapping, if of one alone. */
export interface Command {
  readonly name: string;
  readonly mapping?: string | undefined;
}

/** As people give it: a verb, the mapping that it is about, if it is about one alone, and options. */
export function commandOf(verb: string, mapping?: string, ...options: readonly (string | number)[]): Command {
  const words = [verb, ...(mapping === undefined ? [] : [mapping]), ...options];
  return { name: words.join(' '), mapping };
}

/** That a person gave a command. */
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
