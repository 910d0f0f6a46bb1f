import type { ComponentChild, VNode } from 'preact';
import { createElement } from 'preact';
import type { Route } from './router.ts';

/**
 * What an automatic refresh does when the data changed. `notify` shows a notice, so that a list does not move while
 * somebody reads it.
 */
export type Refresh = 'redraw' | 'notify' | 'never';

/** The data of a view, ready to be drawn. */
export interface Loaded {
  /** The data as text. Equal data has equal texts. */
  readonly text: string;
  readonly element: ComponentChild;
}

export interface View {
  readonly refresh: Refresh;
  title(route: Route): string;
  load(route: Route, signal: AbortSignal): Promise<Loaded>;
  /** The controls that stay visible when loading fails. */
  readonly form?: ((route: Route) => VNode) | undefined;
}

interface ShowProps<Data> {
  readonly data: Data;
  readonly route: Route;
}

interface ViewParts<Data> {
  readonly refresh: Refresh;
  readonly title: (route: Route) => string;
  readonly load: (route: Route, signal: AbortSignal) => Promise<Data>;
  readonly Show: (props: ShowProps<Data>) => VNode;
  readonly form?: (route: Route) => VNode;
}

export function defineView<Data>({ load, Show, ...parts }: ViewParts<Data>): View {
  return {
    ...parts,
    async load(route, signal) {
      const data = await load(route, signal);
      return { text: JSON.stringify(data), element: createElement<ShowProps<Data>>(Show, { data, route }) };
    },
  };
}
