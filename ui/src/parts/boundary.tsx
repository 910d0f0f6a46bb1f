import { Component, type ComponentChildren } from 'preact';
import { Notice } from './notice.tsx';

interface Props {
  readonly children: ComponentChildren;
}

interface State {
  readonly hasFailed: boolean;
}

/** Keeps a mistake in one view from breaking the page. Without it, no other view could be drawn any more. */
export class Boundary extends Component<Props, State> {
  override state: State = { hasFailed: false };

  static override getDerivedStateFromError(): State {
    return { hasFailed: true };
  }

  override componentDidCatch(error: unknown): void {
    reportError(error);
  }

  override render({ children }: Props): ComponentChildren {
    if (!this.state.hasFailed) return children;
    return (
      <Notice tone="bad">
        This view could not be shown, because of a mistake in the page. The console of the browser names it.
        The other views still work.
      </Notice>
    );
  }
}
