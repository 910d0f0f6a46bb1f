import { LONGEST_NOTICE, type Notices } from './queue.ts';

export interface NoticeBoard extends Pick<Notices, 'subscribe'> {
  /** Tells all listeners, unless the field has this text already. */
  tell(field: string, text: string | undefined): void;
}

/** Beyond so many a new one is dropped. */
export const MOST_FIELDS = 100_000;

export function isSmall(field: string, text: string | undefined): boolean {
  return field.length <= LONGEST_NOTICE && (text ?? '').length <= LONGEST_NOTICE;
}

/** The notices that stand, as this process knows them, and who listens. */
export function createNoticeBoard(): NoticeBoard {
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
