import type { ComponentChildren, VNode } from 'preact';
import { ApiError } from '../api.ts';
import { sentence, WithCode } from '../format.tsx';
import type { Tone } from '../words.ts';
import { Code } from './badge.tsx';

export function Notice({
  tone,
  children,
}: {
  readonly tone: Tone;
  readonly children: ComponentChildren;
}): VNode {
  return <div class={`notice ${tone}`}>{children}</div>;
}

/** An error of the service with its remedy. */
export function Problem({ error }: { readonly error: unknown }): VNode {
  if (!(error instanceof ApiError)) throw error;
  const { message, code, remedy, requestId } = error;
  return (
    <div class="notice bad" role="alert">
      <p>
        <strong>
          <WithCode text={sentence(message)} />
        </strong>{' '}
        <Code code={code} />
      </p>
      {remedy !== '' && (
        <p>
          <WithCode text={remedy} />
        </p>
      )}
      {requestId !== undefined && (
        <p class="muted">
          Request <code>{requestId}</code>
        </p>
      )}
    </div>
  );
}

/** What a view without content says: why it is empty, and what would fill it. */
export function Empty({
  text,
  children,
}: {
  readonly text: string;
  readonly children?: ComponentChildren;
}): VNode {
  return (
    <div class="empty">
      <p>
        <WithCode text={text} />
      </p>
      {children}
    </div>
  );
}
