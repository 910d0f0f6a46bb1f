import { ApiError, open } from './api.ts';
import { chunksOf } from './parts/export.tsx';

const FIRST_RETRY_MS = 2_000;
const LAST_RETRY_MS = 60_000;

export type StreamState = 'connecting' | 'live' | 'waiting';

interface StreamOptions {
  /** Called for each event of the service. */
  readonly onEvent: () => void;
  readonly onState: (state: StreamState) => void;
}

/**
 * Receives the events of the service until the returned function is called. A lost connection is opened again, after
 * longer and longer waits. `EventSource` cannot send the header with the token, so this reads the body of a request.
 */
export function openStream({ onEvent, onState }: StreamOptions): () => void {
  const ended = new AbortController();
  const { signal } = ended;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let wait = FIRST_RETRY_MS;
  let wasLive = false;

  async function connect(): Promise<void> {
    onState('connecting');
    try {
      const response = await open('/api/v1/stream', undefined, signal);
      onState('live');
      // Events may have been lost while the connection was down.
      if (wasLive) onEvent();
      wasLive = true;
      for await (const event of eventsOf(response)) {
        wait = FIRST_RETRY_MS;
        if (event) onEvent();
      }
    } catch (error) {
      if (signal.aborted) return;
      // `TypeError`: the connection was lost.
      if (!(error instanceof ApiError || error instanceof TypeError)) throw error;
    }
    if (signal.aborted) return;
    onState('waiting');
    // Without a connection, the page asks again at each attempt.
    onEvent();
    timer = setTimeout(connect, wait);
    wait = Math.min(wait * 2, LAST_RETRY_MS);
  }

  void connect();
  return () => {
    ended.abort();
    clearTimeout(timer);
  };
}

/** Yields true for each event, and false for a comment that keeps the connection open. */
async function* eventsOf(response: Response): AsyncGenerator<boolean> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunksOf(response)) {
    rest += decoder.decode(chunk, { stream: true });
    const messages = rest.split(/\r?\n\r?\n/);
    rest = messages.pop() ?? '';
    for (const message of messages) yield /^(event|data):/m.test(message);
  }
}
