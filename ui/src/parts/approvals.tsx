import { createRef, type VNode } from 'preact';
import { post } from '../api.ts';
import { Time } from '../format.tsx';
import { type Page, usePage } from '../page.ts';
import type { Approval } from '../types.ts';
import { KeyChanges, MappingLink, PersonLink, RecordLink, TargetLink } from './subject.tsx';
import { summary } from './sync.tsx';

const NOTE_LENGTH = 500;

/** The requests that wait for a second person. */
export function Approvals({ approvals }: { readonly approvals: readonly Approval[] }): VNode | null {
  if (approvals.length === 0) return null;
  return (
    <section aria-labelledby="approvals">
      <h2 id="approvals">Waiting for approval</h2>
      <ul class="holds">
        {approvals.map((approval) => (
          <Request key={approval.id} approval={approval} />
        ))}
      </ul>
    </section>
  );
}

function Request({ approval }: { readonly approval: Approval }): VNode {
  const page = usePage();
  const { action, mapping, namespace, secret, keys, requestedBy, requestedAt, until, sequence } = approval;
  const name = `${action} ${namespace}/${secret}`;
  // The service refuses everybody else who may not approve.
  const isOwn = requestedBy === page.session.name;
  return (
    <li class="card">
      <h3>
        {`${action} `}
        <TargetLink namespace={namespace} secret={secret} />
      </h3>
      <p class="muted">
        {'Requested by '}
        <PersonLink name={requestedBy} /> <Time at={requestedAt} />
        {', open until '}
        <Time at={until} />
        {', mapping '}
        <MappingLink name={mapping} />
        {', record '}
        <RecordLink sequence={sequence} />
      </p>
      <p>
        <KeyChanges keys={keys} />
      </p>
      <div class="buttons">
        {!isOwn && (
          <button type="button" aria-label={`Approve: ${name}`} onClick={() => askToApprove(approval, page)}>
            Approve…
          </button>
        )}
        <button
          type="button"
          aria-label={`${isOwn ? 'Withdraw' : 'Reject'}: ${name}`}
          onClick={() => askToReject(approval, page, isOwn)}
        >
          {isOwn ? 'Withdraw…' : 'Reject…'}
        </button>
      </div>
    </li>
  );
}

function askToApprove(approval: Approval, page: Page): void {
  const { id, action, namespace, secret, command } = approval;
  const note = createRef<HTMLTextAreaElement>();
  page.ask({
    title: `Approve this ${action}?`,
    body: (
      <>
        <p>
          {'The approval runs '}
          <code>{command}</code>
          {` on ${namespace}/${secret} at once, in the name of ${approval.requestedBy}. You cannot undo this here.`}
        </p>
        <p>
          <KeyChanges keys={approval.keys} />
        </p>
        <NoteField field={note} />
      </>
    ),
    confirm: 'Approve',
    danger: true,
    async act() {
      const answer = await post('/api/v1/approvals/{id}/approve', {
        path: { id },
        body: bodyOf(note.current),
      });
      await page.reload();
      page.say(
        answer.ok ? 'good' : 'warn',
        `Approved ${action} of ${namespace}/${secret}: ${summary(answer)}.`,
      );
    },
  });
}

function askToReject(approval: Approval, page: Page, isOwn: boolean): void {
  const { id, action, namespace, secret } = approval;
  const note = createRef<HTMLTextAreaElement>();
  page.ask({
    title: isOwn ? `Withdraw this ${action}?` : `Reject this ${action}?`,
    body: (
      <>
        <p>{`Nothing happens to ${namespace}/${secret}. The request is closed.`}</p>
        <NoteField field={note} />
      </>
    ),
    confirm: isOwn ? 'Withdraw' : 'Reject',
    async act() {
      await post('/api/v1/approvals/{id}/reject', { path: { id }, body: bodyOf(note.current) });
      await page.reload();
      page.say('good', `${isOwn ? 'Withdrew' : 'Rejected'} ${action} of ${namespace}/${secret}.`);
    },
  });
}

function NoteField({ field }: { readonly field: { current: HTMLTextAreaElement | null } }): VNode {
  return (
    <div class="field">
      <label for="decision-note">Note (optional)</label>
      <textarea ref={field} id="decision-note" rows={2} maxlength={NOTE_LENGTH} />
    </div>
  );
}

function bodyOf(field: HTMLTextAreaElement | null): { note?: string } {
  const text = field?.value.trim() ?? '';
  return text === '' ? {} : { note: text };
}
