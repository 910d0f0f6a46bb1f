import { createRef, type VNode } from 'preact';
import { post } from '../api.ts';
import { pluralize } from '../format.tsx';
import { type Page, usePage } from '../page.ts';
import { useAttempt } from './attempt.ts';
import { Problem } from './notice.tsx';

/** The API accepts at most this number of changes in one request. */
const MAX_SEQUENCES = 200;
const NOTE_LENGTH = 2_000;

interface Props {
  /** The changes to review. */
  readonly sequences: readonly number[];
  /** Called after the review. */
  readonly done: () => void;
}

/** The actions on selected changes. It stays at the lower edge of the window. */
export function BulkReview({ sequences, done }: Props): VNode | null {
  const page = usePage();
  const attempt = useAttempt();
  if (sequences.length === 0) return null;
  return (
    <section class="bulk" aria-label="Selected changes">
      <strong>{`${pluralize(sequences.length, 'change')} selected`}</strong>
      <div class="buttons">
        <button
          type="button"
          class="primary"
          aria-disabled={attempt.busy}
          onClick={() => attempt.run(() => review(page, sequences, { state: 'reviewed' }, done))}
        >
          Mark as reviewed
        </button>
        <button type="button" onClick={() => askToFlag(page, sequences, done)}>
          Flag…
        </button>
        <button type="button" class="quiet" onClick={done}>
          Clear selection
        </button>
      </div>
      {attempt.error !== undefined && <Problem error={attempt.error} />}
    </section>
  );
}

export interface Mark {
  readonly state: 'reviewed' | 'flagged';
  readonly note?: string;
  /** A day, as `2026-01-31`. */
  readonly followUp?: string;
}

/** Reviews changes, and then shows the view again. */
export async function review(
  page: Page,
  sequences: readonly number[],
  mark: Mark,
  done: () => void,
): Promise<void> {
  for (let start = 0; start < sequences.length; start += MAX_SEQUENCES)
    await post('/api/v1/review', {
      body: { sequences: sequences.slice(start, start + MAX_SEQUENCES), ...mark },
    });
  done();
  await page.reload();
  page.say('good', `${pluralize(sequences.length, 'change')} ${mark.state}.`);
  // The view is drawn in the next frame.
  requestAnimationFrame(() => requestAnimationFrame(restoreFocus));
}

/**
 * Moves the focus to the first row, if the element that had the focus disappeared with the review. The focus is then at
 * the heading, or nowhere.
 */
function restoreFocus(): void {
  const focused = document.activeElement;
  if (focused !== null && focused !== document.body && focused.tagName !== 'H1') return;
  const row = document.querySelector<HTMLElement>('[data-row] input[type="checkbox"]');
  (row ?? document.querySelector('h1'))?.focus();
}

/** Asks for a note and a date, and then flags the changes. */
export function askToFlag(page: Page, sequences: readonly number[], done: () => void): void {
  const note = createRef<HTMLTextAreaElement>();
  const date = createRef<HTMLInputElement>();
  page.ask({
    title: `Flag ${pluralize(sequences.length, 'change')}?`,
    body: (
      <>
        <p class="muted">A flag asks for another look. It becomes a record of the audit, with your name.</p>
        <div class="field">
          <label for="flag-note">Note (optional)</label>
          <textarea ref={note} id="flag-note" rows={3} maxlength={NOTE_LENGTH} />
        </div>
        <div class="field">
          <label for="flag-date">Follow up on (optional)</label>
          <input ref={date} id="flag-date" type="date" />
        </div>
      </>
    ),
    confirm: 'Flag',
    async act() {
      const text = note.current?.value.trim() ?? '';
      const day = date.current?.value ?? '';
      await review(
        page,
        sequences,
        {
          state: 'flagged',
          ...(text === '' ? {} : { note: text }),
          ...(day === '' ? {} : { followUp: day }),
        },
        done,
      );
    },
  });
}
