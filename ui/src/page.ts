import { type ComponentChildren, createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Session, Verification } from './types.ts';
import type { Role, Tone } from './words.ts';

/** A confirmation before an action that cannot be undone. */
export interface Question {
  readonly title: string;
  readonly body: ComponentChildren;
  readonly confirm: string;
  readonly danger?: boolean;
  /** Runs on confirmation. When it throws, the error is shown and the dialog stays open. */
  readonly act: () => Promise<void>;
}

/** The verification of the chain. It reads every record, so it runs only on demand. It continues in other views. */
export interface VerificationState {
  /** Whether the session may verify. A verification reads the records of all namespaces. */
  readonly isAllowed: boolean;
  readonly last: { readonly at: number; readonly answer: Verification } | undefined;
  readonly problem: unknown;
  readonly isRunning: boolean;
  run(): void;
}

/** What every view can use. */
export interface Page {
  readonly session: Session;
  readonly verification: VerificationState;
  may(role: Role): boolean;
  go(address: string): void;
  /** Loads the current view again. */
  reload(): Promise<void>;
  /** Shows a message above the view, and announces the message. */
  say(tone: Tone, text: string): void;
  ask(question: Question): void;
  /** Tells that an action begins. Until the returned function is called, no automatic refresh redraws the view. */
  begin(): () => void;
}

export const PageContext = createContext<Page | undefined>(undefined);

export function usePage(): Page {
  const page = useContext(PageContext);
  if (page === undefined) throw new Error('the component is not inside the page');
  return page;
}
