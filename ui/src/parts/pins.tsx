import type { VNode } from 'preact';
import { post } from '../api.ts';
import { type Page, usePage } from '../page.ts';
import type { AuditRecord, SyncAnswer, Target } from '../types.ts';
import { RecordLink } from './subject.tsx';
import { summary } from './sync.tsx';

export type Pinned = Pick<Target, 'mapping' | 'namespace' | 'secret' | 'pinned'>;

/** The actions whose records describe the content of a target. */
const STATES = ['create', 'update', 'repair', 'adopt', 'rollback'];

/** The record that a target is pinned to. */
export function PinnedTo({ pinned }: { readonly pinned: number | undefined }): VNode | null {
  if (pinned === undefined) return null;
  return (
    <span class="pin">
      to <RecordLink sequence={pinned} />
    </span>
  );
}

/** The rollback section of the record of a change. */
export function RollBack({ record }: { readonly record: AuditRecord }): VNode | null {
  const page = usePage();
  const { sequence, action, phase, outcome, mapping, namespace, secret, sources } = record;
  if (mapping === undefined || namespace === undefined || secret === undefined) return null;
  const isState = STATES.includes(action) && phase !== 'intent' && outcome === 'ok' && sources.length > 0;
  if (!isState) return null;
  const change = { mapping, namespace, secret, sequence, sources };
  return (
    <section class="card" aria-labelledby="back">
      <h2 id="back">Roll back</h2>
      <p class="muted">
        {`Rebuilds ${namespace}/${secret} from these source versions, while their stores still have them.`}
      </p>
      {page.may('operator') ? (
        <div class="buttons">
          <button type="button" onClick={() => confirmRollback(change, page)}>
            Roll back to this version…
          </button>
        </div>
      ) : (
        <p class="muted">Rolling back requires the role operator.</p>
      )}
    </section>
  );
}

interface Change {
  readonly mapping: string;
  readonly namespace: string;
  readonly secret: string;
  readonly sequence: number;
  readonly sources: AuditRecord['sources'];
}

function confirmRollback({ mapping, namespace, secret, sequence, sources }: Change, page: Page): void {
  const name = `${namespace}/${secret}`;
  const versions = new Map(
    sources.map((source) => [`${source.store} ${source.key} ${source.version}`, source]),
  );
  page.ask({
    title: `Roll back to record ${sequence}?`,
    body: (
      <>
        <p>
          <strong>{name}</strong> will be rebuilt with the current mapping from these source versions:
        </p>
        <ul class="versions">
          {[...versions].map(([id, { store, key, version = '' }]) => (
            <li key={id}>
              {`${store}: ${key}, version `}
              <code class="hash">{version}</code>
            </li>
          ))}
        </ul>
        <p>
          The target keeps these versions until you unpin it, even when its sources change. If its content
          changes, the workloads in the mapping are restarted.
        </p>
        <p>If a store no longer has one of the versions, nothing changes.</p>
      </>
    ),
    confirm: 'Roll back',
    async act() {
      const answer = await post('/api/v1/mappings/{name}/rollback', {
        path: { name: mapping },
        body: { to: sequence, namespace },
      });
      await page.reload();
      sayResult(page, answer, `Pinned ${name} to record ${sequence}`);
    },
  });
}

export function UnpinButton({ target }: { readonly target: Pinned }): VNode | null {
  const page = usePage();
  const { namespace, secret, pinned } = target;
  if (pinned === undefined || !page.may('operator')) return null;
  return (
    <button
      type="button"
      class="small"
      aria-label={`Unpin: ${namespace}/${secret}`}
      onClick={() => confirmUnpin(target, page)}
    >
      Unpin…
    </button>
  );
}

function confirmUnpin({ mapping, namespace, secret, pinned }: Pinned, page: Page): void {
  const name = `${namespace}/${secret}`;
  page.ask({
    title: 'Unpin this target?',
    body: (
      <>
        <p>
          <strong>{name}</strong> is pinned to the versions of record {pinned}.
        </p>
        <p>
          It follows its sources again and gets their current values now. If its content changes, the
          workloads in the mapping are restarted.
        </p>
      </>
    ),
    confirm: 'Unpin',
    async act() {
      const answer = await post('/api/v1/mappings/{name}/unpin', {
        path: { name: mapping },
        body: { namespace },
      });
      await page.reload();
      sayResult(page, answer, `Unpinned ${name}`);
    },
  });
}

/** Shows the result. The request is recorded in the audit even if the target could not be changed yet. */
function sayResult({ say }: Page, answer: SyncAnswer, done: string): void {
  const code = answer.targets[0]?.code;
  const reason = code === undefined ? '' : ` (${code})`;
  say(answer.ok ? 'good' : 'warn', `${done}: ${summary(answer)}${reason}.`);
}
