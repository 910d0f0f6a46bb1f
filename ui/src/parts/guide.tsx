import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import { link } from '../router.ts';

/** Only whether the guide was closed is stored in the browser. */
const KEY = 'secretbridge.guide';

/** What a person who sees the page for the first time can look at. */
export function Guide(): VNode | null {
  const [isClosed, setClosed] = useState(() => localStorage.getItem(KEY) === 'closed');
  if (isClosed) return null;
  return (
    <section class="guide" aria-label="What to look at">
      <ul>
        <li>
          <a href={link(['review'])}>Review</a> lists what a person should look at. A store that is down is
          one entry, however many Secrets it affects.
        </li>
        <li>
          <a href={link(['changes'])}>Changes</a> shows who changed which Secret, why, which keys, and from
          which version.
        </li>
        <li>
          <a href={link(['mappings'])}>Mappings</a> lists the targets, which are the Secrets that mappings
          write, with their states. Each name leads to its history.
        </li>
        <li>
          <a href={link(['holds'])}>Holds</a> lists the deletions that wait until a person releases them.
        </li>
      </ul>
      <button
        type="button"
        class="quiet"
        onClick={() => {
          localStorage.setItem(KEY, 'closed');
          setClosed(true);
        }}
      >
        Close
      </button>
    </section>
  );
}
