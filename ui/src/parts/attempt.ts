import { useRef, useState } from 'preact/hooks';
import { ApiError } from '../api.ts';
import { usePage } from '../page.ts';

export interface Attempt {
  /** For the attribute `aria-disabled` of the buttons. A button with `disabled` would lose the keyboard focus. */
  readonly busy: true | undefined;
  readonly error: ApiError | undefined;
  run(work: () => Promise<void>): Promise<void>;
}

/** Runs an action and keeps its error. Ignores clicks while the action runs. */
export function useAttempt(): Attempt {
  const { begin } = usePage();
  const isRunning = useRef(false);
  const [state, setState] = useState<Pick<Attempt, 'busy' | 'error'>>({ busy: undefined, error: undefined });

  async function run(work: () => Promise<void>): Promise<void> {
    if (isRunning.current) return;
    isRunning.current = true;
    const end = begin();
    setState({ busy: true, error: undefined });
    let error: ApiError | undefined;
    try {
      await work();
    } catch (thrown) {
      if (!(thrown instanceof ApiError)) throw thrown;
      error = thrown;
    } finally {
      isRunning.current = false;
      end();
      setState({ busy: undefined, error });
    }
  }
  return { ...state, run };
}
