import type { VNode } from 'preact';
import { get, post } from '../api.ts';
import { pluralize } from '../format.tsx';
import type { Page } from '../page.ts';
import type { Held } from '../types.ts';
import { summary } from './sync.tsx';

/** The API accepts at most this number of ids in one request. */
const MAX_IDS = 200;

/** Returns all held changes. */
export async function allHolds(signal?: AbortSignal): Promise<readonly Held[]> {
  const holds: Held[] = [];
  let cursor: string | undefined;
  do {
    const page = await get('/api/v1/held', { query: { limit: 1_000, cursor }, signal });
    holds.push(...page.held);
    cursor = page.next;
  } while (cursor !== undefined);
  return holds;
}

const EFFECTS: Readonly<Record<Held['keys'][number]['action'], string>> = {
  add: 'added',
  change: 'changed',
  remove: 'removed',
  keep: 'unchanged',
};

/** The keys that are gone after a release. */
export function LostKeys({ held: { action, keys } }: { readonly held: Held }): VNode {
  const lost = keys.filter((key) => key.action === 'remove' || action === 'delete').map(({ name }) => name);
  const others = keys.filter(({ name }) => !lost.includes(name));
  const isWhole = action === 'delete';
  const none = isWhole ? 'The Secret itself would be deleted.' : 'No key would be lost.';
  const some = `${pluralize(lost.length, 'key')} would be lost${isWhole ? ' together with the Secret' : ''}:`;
  return (
    <div>
      <p>{lost.length === 0 ? none : some}</p>
      <ul class="names">
        {lost.map((name) => (
          <li key={name} class="lost">
            <code>{name}</code>
          </li>
        ))}
      </ul>
      {others.length > 0 && (
        <p class="muted">{`Other keys: ${others.map((key) => `${key.name} (${EFFECTS[key.action]})`).join(', ')}`}</p>
      )}
    </div>
  );
}

/** Asks for confirmation, and then releases one held change or several. */
export function confirmRelease(all: readonly Held[], page: Page): void {
  const [first] = all;
  if (first === undefined) return;
  const isDelete = all.some(({ action }) => action === 'delete');
  page.ask({
    title: all.length === 1 ? `Release this ${first.action}?` : `Release all ${all.length} changes?`,
    body: (
      <>
        {all.length > 1 && <p>You cannot undo this here.</p>}
        <div
          class="release-list"
          role="group"
          aria-label="What would be lost"
          tabIndex={all.length > 1 ? 0 : -1}
        >
          {all.map((held) => (
            <div key={held.id}>
              <p>
                {all.length === 1 ? 'Target ' : `${held.action} `}
                <strong>{`${held.namespace}/${held.secret}`}</strong>
                {all.length === 1 && '. You cannot undo this here.'}
              </p>
              <LostKeys held={held} />
            </div>
          ))}
        </div>
      </>
    ),
    confirm: isDelete ? 'Release and delete' : 'Release',
    danger: true,
    act: () => (all.length === 1 ? releaseOne(first, page) : releaseAll(all, page)),
  });
}

async function releaseOne({ id, namespace, secret }: Held, page: Page): Promise<void> {
  const answer = await post('/api/v1/held/{id}/release', { path: { id } });
  await page.reload();
  page.say('good', `Released ${namespace}/${secret}: ${summary(answer)}.`);
}

/** A change that cannot be released does not stop the others. */
async function releaseAll(all: readonly Held[], page: Page): Promise<void> {
  const problems: string[] = [];
  for (let start = 0; start < all.length; start += MAX_IDS) {
    const ids = all.slice(start, start + MAX_IDS).map(({ id }) => id);
    const { results } = await post('/api/v1/held/release', { body: { ids } });
    for (const { id, ok, code = 'failed' } of results) {
      const held = all.find((one) => one.id === id);
      if (!ok) problems.push(`${held?.namespace}/${held?.secret} (${code})`);
    }
  }
  await page.reload();
  const released = `Released ${all.length - problems.length} of ${pluralize(all.length, 'change')}.`;
  if (problems.length === 0) page.say('good', released);
  else page.say('warn', `${released} Not released: ${problems.join(', ')}.`);
}
