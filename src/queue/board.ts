import type { Notices } from './queue.ts';

export interface Board extends Pick<Notices, 'subscribe'> {
  /** Tells all listeners, unless the field has this text already. */
  tell(field: string, text: string | undefined): void;
}

/** Beyond these a notice is none: they are names, times and codes. */
const LONGEST_TEXT = 1024;
export const MOST_FIELDS = 100_000;

export function isSmall(field: string, text: string | undefined): boolean {
  return field.length <= LONGEST_TEXT && (text ?? '').length <= LONGEST_TEXT;
}

/** What stands in this process, and who listens. */
export function createBoard(): Board {
  const standing = new Map<string, string>();
  const listeners = new Set<(field: string, text: string | undefined) => void>();
  return {
    tell(field, text) {
      if (standing.get(field) === text) return;
      if (text === undefined) standing.delete(field);
      else if (standing.has(field) || standing.size < MOST_FIELDS) standing.set(field, text);
      for (const listener of listeners) listener(field, text);
    },
    subscribe(listener) {
      // Its own function, so that subscribing the same one twice is two subscriptions.
      const own = (field: string, text: string | undefined): void => listener(field, text);
      listeners.add(own);
      for (const [field, text] of [...standing]) own(field, text);
      return () => void listeners.delete(own);
    },
  };
}
