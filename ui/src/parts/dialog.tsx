import type { VNode } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { Question } from '../page.ts';
import { useAttempt } from './attempt.ts';
import { Problem } from './notice.tsx';

/**
 * Asks for confirmation. The browser keeps the focus inside the dialog and restores it afterwards.
 */
export function Dialog({
  question,
  close,
}: {
  readonly question: Question;
  readonly close: () => void;
}): VNode {
  const { title, body, confirm, danger = false, act } = question;
  const dialog = useRef<HTMLDialogElement>(null);
  const cancel = useRef<HTMLButtonElement>(null);
  const attempt = useAttempt();

  useLayoutEffect(() => {
    dialog.current?.showModal();
    const field = danger ? null : dialog.current?.querySelector<HTMLElement>('textarea, input');
    (field ?? cancel.current)?.focus();
  }, []);

  function ended(): void {
    // The element that had the focus before may no longer exist. The browser then leaves the focus in the dialog.
    const focused = document.activeElement;
    if (focused === document.body || focused === null || dialog.current?.contains(focused) === true)
      document.querySelector('h1')?.focus();
    close();
  }

  const go = (): Promise<void> =>
    attempt.run(async () => {
      await act();
      dialog.current?.close();
    });

  return (
    <dialog ref={dialog} aria-labelledby="dialog-title" onClose={ended}>
      <h2 id="dialog-title">{title}</h2>
      {body}
      {attempt.error !== undefined && <Problem error={attempt.error} />}
      <div class="buttons">
        <button ref={cancel} type="button" onClick={() => dialog.current?.close()}>
          Cancel
        </button>
        <button type="button" class={danger ? 'danger' : 'primary'} aria-disabled={attempt.busy} onClick={go}>
          {confirm}
        </button>
      </div>
    </dialog>
  );
}
