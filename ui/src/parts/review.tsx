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
  const mayReview = usePage().may('reviewer');
  const { sequence, reviewed } = record;
  return (
    <section class="card" aria-labelledby="review">
      <h2 id="review">
        Review <Badge word={reviewOf(record)} />
      </h2>
      {reviewed !== undefined && <LatestReview reviewed={reviewed} />}
      {mayReview ? (
        <ReviewForm sequence={sequence} />
      ) : (
        <p class="muted">Reviewing requires the role reviewer.</p>
      )}
      <NextUnreviewed sequence={sequence} />
    </section>
  );
}

interface SequenceProps {
  readonly sequence: number;
}

function ReviewForm({ sequence }: SequenceProps): VNode {
  const { reload } = usePage();
  const [note, setNote] = useState('');
  const [day, setDay] = useState('');
  const attempt = useAttempt();
  const mark = (state: 'reviewed' | 'flagged'): Promise<void> =>
    attempt.run(async () => {
      const text = note.trim();
      const hasDay = state === 'flagged' && day !== '';
      await post('/api/v1/audit/records/{sequence}/review', {
        path: { sequence },
        body: { state, ...(text === '' ? {} : { note: text }), ...(hasDay ? { followUp: day } : {}) },
      });
      await reload();
      setNote('');
      setDay('');
      announce(`Record ${sequence} is ${state}.`);
    });
  return (
    <>
      <NoteField note={note} setNote={setNote} />
      <div class="field narrow">
        <label for="follow-up">Follow up on (optional, for a flag)</label>
        <input
          id="follow-up"
          type="date"
          value={day}
          onInput={({ currentTarget }) => setDay(currentTarget.value)}
        />
      </div>
      <div class="buttons">
        <button type="button" class="primary" aria-disabled={attempt.busy} onClick={() => mark('reviewed')}>
          Mark as reviewed
        </button>
        <button type="button" aria-disabled={attempt.busy} onClick={() => mark('flagged')}>
          Flag
        </button>
      </div>
      {attempt.error !== undefined && <Problem error={attempt.error} />}
    </>
  );
}

/** Leads to the next older record without a review. */
function NextUnreviewed({ sequence }: SequenceProps): VNode {
  const { go } = usePage();
  const [isLast, setLast] = useState(false);
  const attempt = useAttempt();
  const openNext = (): Promise<void> =>
    attempt.run(async () => {
      const query = { review: 'unreviewed', cursor: sequence, limit: 1 };
      const [next] = (await get('/api/v1/audit/records', { query })).records;
      if (next !== undefined) return go(link(['records', next.sequence]));
      setLast(true);
      announce(NONE_LEFT);
    });
  return (
    <>
      <div class="buttons">
        <button type="button" aria-disabled={attempt.busy} onClick={openNext}>
          Next unreviewed
        </button>
      </div>
      {attempt.error !== undefined && <Problem error={attempt.error} />}
      {isLast && <Notice tone="good">{NONE_LEFT}</Notice>}
    </>
  );
}

function LatestReview({ reviewed }: { readonly reviewed: NonNullable<AuditRecord['reviewed']> }): VNode {
  const { by, time, sequence, note, followUp } = reviewed;
  return (
    <p>
      {by !== undefined && <strong>{by}</strong>} <Time at={time} />
      {', as '}
      <RecordLink sequence={sequence} /> {note && <q class="note">{note}</q>}
      {followUp !== undefined && ` Follow up by ${followUp}.`}
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
