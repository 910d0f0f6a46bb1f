import type { VNode } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import {
  endSession,
  onSignedOut,
  type SignInMethods,
  sessionOfCookie,
  signInMethods,
  signOut,
} from './api.ts';
import { announce } from './format.tsx';
import { Frame } from './frame.tsx';
import type { Session } from './types.ts';
import { SignInForm } from './views/sign-in.tsx';

const REFUSED = 'The service no longer accepts this sign-in. Sign in again.';

interface State {
  /** Each sign-in and each sign-in form has its own number, so that nothing of the previous one stays. */
  readonly id: number;
  readonly session?: Session;
  readonly methods?: SignInMethods;
  /** Why the previous session ended. */
  readonly reason?: string;
}

/** The sign-in form, or the page of a person who has signed in. */
export function App(): VNode {
  const [{ id, session, methods, reason }, enter, leave] = useSession();
  if (session === undefined)
    return <SignInForm key={id} enter={enter} isOidc={methods?.oidc === true} reason={reason} />;
  return <Frame key={id} session={session} leave={leave} />;
}

function useSession(): readonly [State, (session: Session) => void, () => Promise<void>] {
  const [state, setState] = useState<State>({ id: 0 });
  const id = useRef(0);

  function enter(session: Session): void {
    // A slow sign-in can complete after another sign-in. The later one then replaces the earlier one.
    id.current += 1;
    setState({ id: id.current, session });
    announce(`Signed in as ${session.name}, ${session.role}.`);
  }

  async function showForm(reason?: string): Promise<SignInMethods> {
    signOut();
    id.current += 1;
    const form = id.current;
    document.title = 'Sign in – secretbridge';
    setState({ id: form, ...(reason === undefined ? {} : { reason }) });
    const methods = await signInMethods();
    if (id.current === form) setState((current) => ({ ...current, methods }));
    return methods;
  }

  /** Continues the session of a sign-in by OIDC, or asks for a sign-in. */
  async function start(): Promise<void> {
    const { session } = await showForm();
    const form = id.current;
    if (!session) return;
    const own = await sessionOfCookie();
    if (id.current === form) enter(own);
  }

  async function leave(): Promise<void> {
    if (state.session?.endsAt !== undefined) await endSession();
    void showForm();
    announce('Signed out.');
  }

  useLayoutEffect(() => {
    onSignedOut(() => void showForm(REFUSED));
    // The back-forward cache of the browser keeps the page with its data. So sign out when the browser shows the page
    // from this cache.
    const restored = ({ persisted }: PageTransitionEvent): void => {
      if (persisted) void start();
    };
    addEventListener('pageshow', restored);
    void start();
    return () => removeEventListener('pageshow', restored);
  }, []);
  return [state, enter, leave];
}
