import type { VNode } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { openStream, type StreamState } from './stream.ts';

/** Events that follow each other at once lead to one request. */
const GATHER_MS = 400;
/** How long an update waits while an action runs or a dialog is open. */
const BUSY_MS = 1_000;

interface UpdateOptions {
  /** Whether the view wants updates. */
  readonly isOn: boolean;
  /** Whether the update must wait, for example because an action runs. */
  readonly mustWait: () => boolean;
  readonly check: () => Promise<void>;
}

/** Loads the view again when the service tells that something changed. Returns the control of the updates. */
export function useUpdates(options: UpdateOptions): VNode {
  const [isWanted, setWanted] = useState(true);
  const [state, setState] = useState<StreamState>('connecting');
  const latest = useRef(options);
  latest.current = options;

  useLayoutEffect(() => {
    if (!isWanted) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const update = async (): Promise<void> => {
      timer = undefined;
      const { isOn, mustWait, check } = latest.current;
      if (document.hidden || mustWait()) timer = setTimeout(update, BUSY_MS);
      else if (isOn) await check();
    };
    const close = openStream({
      onState: setState,
      onEvent() {
        timer ??= setTimeout(update, GATHER_MS);
      },
    });
    return () => {
      close();
      clearTimeout(timer);
    };
  }, [isWanted]);

  return (
    <label for="auto" class="live-updates">
      <input
        type="checkbox"
        id="auto"
        checked={isWanted}
        onChange={({ currentTarget }) => setWanted(currentTarget.checked)}
      />{' '}
      live
      {isWanted && state === 'waiting' && <span class="muted"> (not connected)</span>}
    </label>
  );
}
