import { type Broadcast, MAX_MESSAGE_LENGTH } from './queue.ts';

export interface RetainedMessages extends Pick<Broadcast, 'subscribe'> {
  /** Stores the text and notifies all listeners, unless the topic already has this text. */
  set(topic: string, text: string | undefined): void;
}

/** Maximum number of topics. Messages of further topics are not stored. */
export const MAX_TOPICS = 100_000;

export function isWithinLimit(topic: string, text: string | undefined): boolean {
  return topic.length <= MAX_MESSAGE_LENGTH && (text ?? '').length <= MAX_MESSAGE_LENGTH;
}

/** The latest message of each topic, and the listeners of this process. */
export function createRetainedMessages(): RetainedMessages {
  const messages = new Map<string, string>();
  const listeners = new Set<(topic: string, text: string | undefined) => void>();
  return {
    set(topic, text) {
      if (messages.get(topic) === text) return;
      if (text === undefined) messages.delete(topic);
      else if (messages.has(topic) || messages.size < MAX_TOPICS) messages.set(topic, text);
      for (const listener of listeners) listener(topic, text);
    },
    subscribe(listener) {
      // Use a new function for each call, so that two subscriptions of the same listener are independent.
      const own = (topic: string, text: string | undefined): void => listener(topic, text);
      listeners.add(own);
      for (const [topic, text] of [...messages]) own(topic, text);
      return () => void listeners.delete(own);
    },
  };
}
