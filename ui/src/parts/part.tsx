import type { ComponentChildren, VNode } from 'preact';
import { ApiError } from '../api.ts';
import { Problem } from './notice.tsx';

/** The data of one part of a view, or why it could not be loaded. The other parts are shown anyway. */
export type PartOf<T> =
  | { readonly data: T }
  | { readonly failure: ConstructorParameters<typeof ApiError>[0] };

export async function partOf<T>(answer: Promise<T>): Promise<PartOf<T>> {
  try {
    return { data: await answer };
  } catch (error) {
    // A refused sign-in ends the session, so no part of the view can be shown.
    if (!(error instanceof ApiError) || error.status === 401) throw error;
    const { status, code, message, remedy, requestId } = error;
    return { failure: { status, code, message, remedy, ...(requestId === undefined ? {} : { requestId }) } };
  }
}

interface Props<T> {
  readonly part: PartOf<T>;
  readonly children: (data: T) => ComponentChildren;
}

export function Part<T>({ part, children }: Props<T>): VNode {
  if ('failure' in part) return <Problem error={new ApiError(part.failure)} />;
  return <>{children(part.data)}</>;
}
