import type { RefObject } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from './api.ts';
import { parse } from './router.ts';
import type { Loaded, View } from './view.ts';

/** `check`: an automatic refresh. */
type Mode = 'draw' | 'check';

interface State {
  /** The visit that the state belongs to. */
  readonly visit: number;
  readonly isLoading: boolean;
  readonly shown?: Loaded;
  readonly error?: ApiError | undefined;
  /** Whether the service has newer data than the page shows. */
  readonly hasNewer?: boolean;
  /** Milliseconds since 1970. */
  readonly updatedAt?: number;
}

export interface Loader extends State {
  load(mode: Mode): Promise<void>;
}

interface LoaderOptions {
  readonly view: View | undefined;
  readonly address: string;
  /** Changes when the person opens a view. */
  readonly visit: number;
  /** Whether an action runs. A redraw would lose its state. */
  readonly isBusy: () => boolean;
  /** The element of the view, and the element that gets the focus when the focused one disappears. */
  readonly body: RefObject<HTMLElement | null>;
  readonly heading: RefObject<HTMLElement | null>;
}

/** Loads the data of a view when the person opens the view, and again on demand. */
export function useLoader(options: LoaderOptions): Loader {
  const { visit, body, heading } = options;
  const [state, setState] = useState<State>({ visit, isLoading: true });
  const pending = useRef<AbortController>(undefined);
  const hadFocus = useRef(false);
  const latest = useRef(options);
  latest.current = options;
  const shownText = useRef<string>(undefined);

  async function load(mode: Mode): Promise<void> {
    const { view, address, isBusy, visit } = latest.current;
    pending.current?.abort();
    if (view === undefined) return;
    const controller = new AbortController();
    pending.current = controller;
    const update = (next: Partial<State>): void =>
      setState((current) => ({
        ...(current.visit === visit ? current : {}),
        ...next,
        visit,
        isLoading: false,
      }));
    setState((current) => ({ ...(current.visit === visit ? current : {}), visit, isLoading: true }));
    try {
      const data = await view.load(parse(address), controller.signal);
      if (controller.signal.aborted) return;
      // An action that began in the meantime would lose its state.
      if (mode === 'check' && isBusy()) return update({});
      const base = { error: undefined, updatedAt: Date.now() };
      if (mode === 'check' && data.text === shownText.current) return update({ ...base, hasNewer: false });
      if (mode === 'check' && view.refresh === 'notify') return update({ ...base, hasNewer: true });
      shownText.current = data.text;
      hadFocus.current = body.current?.contains(document.activeElement) === true;
      update({ ...base, hasNewer: false, shown: data });
    } catch (error) {
      if (controller.signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      update({ error });
    }
  }

  useLayoutEffect(() => {
    shownText.current = undefined;
    void load('draw');
    return () => pending.current?.abort();
  }, [visit]);

  useLayoutEffect(() => {
    const { activeElement } = document;
    if (hadFocus.current && (activeElement === document.body || activeElement === null))
      heading.current?.focus({ preventScroll: true });
    hadFocus.current = false;
  }, [state.shown]);

  const current = state.visit === visit ? state : { visit, isLoading: true };
  return { ...current, load };
}
