import type { VNode } from 'preact';
import { get } from '../api.ts';
import { pluralize, Time } from '../format.tsx';
import { usePage } from '../page.ts';
import { Approvals } from '../parts/approvals.tsx';
import { Empty } from '../parts/notice.tsx';
import { allHolds, confirmRelease, LostKeys } from '../parts/release.tsx';
import { MappingLink, TargetLink } from '../parts/subject.tsx';
import type { Approval, Held } from '../types.ts';
import { defineView } from '../view.ts';

interface Data {
  readonly held: readonly Held[];
  readonly approvals: readonly Approval[];
}

export const holdsView = defineView<Data>({
  title: () => 'Holds',
  refresh: 'redraw',
  async load(_, signal) {
    const [held, { approvals }] = await Promise.all([
      allHolds(signal),
      get('/api/v1/approvals', { query: { limit: 1_000 }, signal }),
    ]);
    return { held, approvals };
  },
  Show: ({ data: { held, approvals } }) => (
    <>
      <p class="lead muted">
        These changes would delete more than the setting <code>brake</code> allows, or leave a Secret without
        keys. They wait until a person releases them. The audit records who did.
      </p>
      <Approvals approvals={approvals} />
      {held.length === 0 ? (
        <Empty text="There are no held changes. A deletion beyond the limit of `brake`, or a change that would leave a Secret without keys, would wait here." />
      ) : (
        [...groupsOf(held)].map(([reason, changes]) => <Group key={reason} reason={reason} held={changes} />)
      )}
    </>
  ),
});

/** Returns the held changes by their cause. */
function groupsOf(held: readonly Held[]): ReadonlyMap<string, readonly Held[]> {
  return Map.groupBy(held, ({ reason = '' }) => reason);
}

interface GroupProps {
  readonly reason: string;
  readonly held: readonly Held[];
}

/** The held changes of one cause. */
function Group({ reason, held }: GroupProps): VNode {
  const page = usePage();
  const isGroup = held.length > 1 && reason !== '';
  return (
    <section class="hold-group" aria-label={reason === '' ? 'Held changes' : reason}>
      {isGroup && (
        <div class="group-head">
          <h2>{`${reason}: ${pluralize(held.length, 'held change')}`}</h2>
          {page.may('operator') && (
            <button type="button" onClick={() => confirmRelease(held, page)}>
              {`Release all ${held.length}…`}
            </button>
          )}
        </div>
      )}
      <ul class="holds">
        {held.map((change) => (
          <Hold key={change.id} held={change} Heading={isGroup ? 'h3' : 'h2'} />
        ))}
      </ul>
    </section>
  );
}

interface HoldProps {
  readonly held: Held;
  readonly Heading: 'h2' | 'h3';
}

function Hold({ held, Heading }: HoldProps): VNode {
  const page = usePage();
  const { id, mapping, namespace, secret, action, reason, since } = held;
  return (
    <li class="card">
      <Heading>
        {`${action} `}
        <TargetLink namespace={namespace} secret={secret} />
      </Heading>
      <p class="muted">
        Mapping <MappingLink name={mapping} />, hold <code>{id}</code>
      </p>
      {reason !== undefined && (
        <p>
          {`Reason: ${reason}`}
          {since !== undefined && (
            <span>
              {'. Held since '}
              <Time at={since} />.
            </span>
          )}
        </p>
      )}
      <LostKeys held={held} />
      {page.may('operator') ? (
        <div class="buttons">
          <button
            type="button"
            aria-label={`Release: ${action} ${namespace}/${secret}`}
            onClick={() => confirmRelease([held], page)}
          >
            Release…
          </button>
        </div>
      ) : (
        <p class="muted">Releasing requires the role operator.</p>
      )}
    </li>
  );
}
