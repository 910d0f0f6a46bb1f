import type { VNode } from 'preact';
import { useContext } from 'preact/hooks';
import { PageContext } from '../page.ts';
import { link } from '../router.ts';
import { toneOf } from '../words.ts';

/** A word with a color. The color adds no information to the word. */
export function Badge({ word }: { readonly word: string }): VNode {
  return <span class={`badge ${toneOf(word)}`}>{word}</span>;
}

/** A state, and the error code that explains the state. The code `HELD` says nothing more than the state `held`. */
export function State({ word, code }: { readonly word: string; readonly code?: string | undefined }): VNode {
  return (
    <span class="state">
      <Badge word={word} />
      {code?.toLowerCase() !== word && <Code code={code} />}
    </span>
  );
}

/** An error code, as a link to its explanation. */
export function Code({ code }: { readonly code?: string | undefined }): VNode | null {
  const page = useContext(PageContext);
  if (code === undefined) return null;
  // Nobody has signed in yet, so no view can explain the code.
  if (page === undefined) return <code class="code">{code}</code>;
  return (
    <a href={link(['codes', code])} class="code" title="What does this code mean?">
      <code>{code}</code>
    </a>
  );
}
