import type { TargetedSubmitEvent, VNode } from 'preact';
import { useRef } from 'preact/hooks';
import { usePage } from '../page.ts';
import { link } from '../router.ts';

/** The search over names and notes, in the header. */
export function SearchBox({ text }: { readonly text: string }): VNode {
  const { go } = usePage();
  const input = useRef<HTMLInputElement>(null);
  function submit(event: TargetedSubmitEvent<HTMLFormElement>): void {
    event.preventDefault();
    const q = input.current?.value.trim() ?? '';
    if (q !== '') go(link(['search'], { q }));
  }
  return (
    <form role="search" aria-label="Everything" class="search" onSubmit={submit}>
      <input
        key={text}
        ref={input}
        type="search"
        aria-label="Search"
        placeholder="Search names and notes"
        defaultValue={text}
        maxlength={200}
        autocomplete="off"
        spellcheck={false}
      />
    </form>
  );
}
