import type { RefObject, TargetedKeyboardEvent } from 'preact';

/** What the keys of a list do. The keys work only while the focus is in the list. */
export interface ListActions {
  readonly toggle?: (row: string) => void;
  readonly toggleAll?: () => void;
  readonly reviewed?: () => void;
  readonly flag?: () => void;
  readonly clear?: () => void;
}

const MOVES: Readonly<Record<string, number>> = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 };

/**
 * Returns the handler of the keys in a list: j and k (or the arrows) move between rows, x selects, a selects all, r marks
 * as reviewed, f flags, Escape clears the selection. A row is an element with `data-row`.
 */
export function listKeys(
  list: RefObject<HTMLElement | null>,
  actions: ListActions,
): (event: TargetedKeyboardEvent<HTMLElement>) => void {
  const rows = (): HTMLElement[] => [...(list.current?.querySelectorAll<HTMLElement>('[data-row]') ?? [])];
  return (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || isText(target)) return;
    const all = rows();
    const current = all.findIndex((row) => row.contains(target as Node));
    const move = MOVES[key];
    if (move !== undefined) {
      const next = all[current < 0 ? 0 : Math.min(all.length - 1, Math.max(0, current + move))];
      next?.querySelector<HTMLElement>('input[type="checkbox"], a')?.focus();
    } else if (!runAction(key, all[current]?.dataset.row, actions)) return;
    event.preventDefault();
  };
}

/** Returns whether the key has an action. */
function runAction(key: string, row: string | undefined, actions: ListActions): boolean {
  if (key === 'x' && row !== undefined) actions.toggle?.(row);
  else if (key === 'a') actions.toggleAll?.();
  else if (key === 'r') actions.reviewed?.();
  else if (key === 'f') actions.flag?.();
  else if (key === 'Escape') actions.clear?.();
  else return false;
  return true;
}

function isText(target: EventTarget | null): boolean {
  if (target instanceof HTMLInputElement) return target.type !== 'checkbox';
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}
