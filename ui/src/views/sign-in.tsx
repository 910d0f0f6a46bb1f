import type { TargetedSubmitEvent, VNode } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { ApiError, signIn } from '../api.ts';
import { Problem } from '../parts/notice.tsx';
import type { Session } from '../types.ts';

interface Props {
  readonly enter: (session: Session) => void;
  readonly isOidc: boolean;
  /** The reason why the previous session ended. */
  readonly reason: string | undefined;
}

export function SignInForm({ enter, isOidc, reason }: Props): VNode {
  const { token, busy, trouble, submit } = useSignIn(enter, reason);
  useLayoutEffect(() => token.current?.focus(), []);
  return (
    <main class="sign-in">
      <h1>secretbridge</h1>
      <p class="muted">See who changed which Secret, when, why and from which version.</p>
      {isOidc && (
        <p>
          <button type="button" class="primary" onClick={openProvider}>
            Sign in with your account
          </button>
        </p>
      )}
      <form method="post" onSubmit={submit}>
        <label for="token">Access token</label>
        <input
          ref={token}
          id="token"
          type="password"
          required
          autocomplete="off"
          aria-describedby="token-help"
        />
        <p id="token-help" class="muted">
          The token is only kept in this page's memory. After a reload, enter it again.
        </p>
        <div>{trouble}</div>
        <button type="submit" class="primary" aria-disabled={busy || undefined}>
          Sign in
        </button>
      </form>
    </main>
  );
}

/** The state of the form, and what its button does. */
function useSignIn(enter: Props['enter'], reason: string | undefined) {
  const token = useRef<HTMLInputElement>(null);
  const isRunning = useRef(false);
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<VNode | null>(
    reason === undefined ? null : (
      <div class="notice warn" role="alert">
        {reason}
      </div>
    ),
  );

  async function submit(event: TargetedSubmitEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    if (isRunning.current) return;
    isRunning.current = true;
    setBusy(true);
    setTrouble(null);
    try {
      enter(await signIn(token.current?.value.trim() ?? ''));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      token.current?.select();
      setTrouble(error.status === 401 ? <Refused /> : <Problem error={error} />);
    } finally {
      isRunning.current = false;
      setBusy(false);
    }
  }
  return { token, busy, trouble, submit };
}

/** The present view is shown again after the sign-in. */
function openProvider(): void {
  const { hash } = location;
  location.assign(`auth/login${hash === '' ? '' : `?to=${encodeURIComponent(hash)}`}`);
}

function Refused(): VNode {
  return (
    <div class="notice bad" role="alert">
      <strong>The service does not know this token.</strong>
    </div>
  );
}
