import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import { get, post } from '../api.ts';
import { announce, Time } from '../format.tsx';
import { usePage } from '../page.ts';
import { link } from '../router.ts';
import type { AuditRecord } from '../types.ts';
import { useAttempt } from './attempt.ts';
import { Badge } from './badge.tsx';
import { Notice, Problem } from './notice.tsx';
import { reviewOf } from './record-table.tsx';
import { RecordLink } from './subject.tsx';

/** The maximum length that the API accepts. */
const NOTE_LENGTH = 2_000;
const NONE_LEFT = 'There are no older unreviewed records.';

/** The review of a record, and the form to change it. */
export function Review({ record }: { readonly record: AuditRecord }): VNode {
  const { may, go, reload } = usePage();
  const { sequence, reviewed } = record;
  const [note, setNote] = useState('');
  const [isLast, setLast] = useState(false);
  const marking = useAttempt();
  const searching = useAttempt();

  const mark = (state: 'reviewed' | 'flagged'): Promise<void> =>
    marking.run(async () => {
      const text = note.trim();
      await post('/api/v1/audit/records/{sequence}/review', {
        path: { sequence },
        body: text === '' ? { state } : { state, note: text },
      });
      await reload();
      setNote('');
      announce(`Record ${sequence} is ${state}.`);
    });

  const openNext = (): Promise<void> =>
    searching.run(async () => {
      const query = { review: 'unreviewed', cursor: sequence, limit: 1 };
      const [next] = (await get('/api/v1/audit/records', { query })).records;
      if (next !== undefined) return go(link(['records', next.sequence]));
      setLast(true);
      announce(NONE_LEFT);
    });

  return (
    <section class="card" aria-labelledby="review">
      <h2 id="review">
        Review <Badge word={reviewOf(record)} />
      </h2>
      {reviewed !== undefined && <LatestReview reviewed={reviewed} />}
      {may('reviewer') ? (
        <NoteField note={note} setNote={setNote} />
      ) : (
        <p class="muted">Reviewing requires the role reviewer.</p>
      )}
      <div class="buttons">
        {may('reviewer') && (
          <>
            <button
              type="button"
              class="primary"
              aria-disabled={marking.busy}
              onClick={() => mark('reviewed')}
            >
              Mark as reviewed
            </button>
            <button type="button" aria-disabled={marking.busy} onClick={() => mark('flagged')}>
              Flag
            </button>
          </>
        )}
        <button type="button" aria-disabled={searching.busy} onClick={openNext}>
          Next unreviewed
        </button>
      </div>
      {marking.error !== undefined && <Problem error={marking.error} />}
      {searching.error !== undefined && <Problem error={searching.error} />}
      {isLast && <Notice tone="good">{NONE_LEFT}</Notice>}
    </section>
  );
}

function LatestReview({ reviewed }: { readonly reviewed: NonNullable<AuditRecord['reviewed']> }): VNode {
  const { by, time, sequence, note } = reviewed;
  return (
    <p>
      {by !== undefined && <strong>{by}</strong>} <Time at={time} />
      {', as '}
      <RecordLink sequence={sequence} /> {note && <q class="note">{note}</q>}
    </p>
  );
}

interface NoteProps {
  readonly note: string;
  readonly setNote: (text: string) => void;
}

function NoteField({ note, setNote }: NoteProps): VNode {
  return (
    <div class="field">
      <label for="note">Note (optional)</label>
      <textarea
        id="note"
        rows={2}
        maxlength={NOTE_LENGTH}
        value={note}
        onInput={({ currentTarget }) => setNote(currentTarget.value)}
      />
    </div>
  );
}
