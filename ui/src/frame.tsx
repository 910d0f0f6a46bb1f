import type { RefObject, VNode } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { ROLES } from '../../src/core/words.ts';
import { announce, clock } from './format.tsx';
import { type Loader, useLoader } from './loader.ts';
import { type Page, PageContext, type Question } from './page.ts';
import { Boundary } from './parts/boundary.tsx';
import { Dialog } from './parts/dialog.tsx';
import { Notice, Problem } from './parts/notice.tsx';
import { SearchBox } from './parts/search-box.tsx';
import { useVerification } from './parts/verification.tsx';
import { link, parse, type Route } from './router.ts';
import type { Session } from './types.ts';
import { useUpdates } from './updates.tsx';
import type { View } from './view.ts';
import { AREAS, areaOf, viewOf } from './views.ts';
import type { Role, Tone } from './words.ts';

interface Props {
  readonly session: Session;
  readonly leave: () => Promise<void>;
}

/** The header, the navigation and the current view. */
export function Frame({ session, leave }: Props): VNode {
  const { address, visit, go } = useLocation();
  const route = parse(address);
  const view = viewOf(route);
  const heading = useRef<HTMLHeadingElement>(null);
  const body = useRef<HTMLDivElement>(null);
  const actions = useRef(0);
  const [question, setQuestion] = useState<Question>();
  const [message, setMessage] = useState<Message>();
  const isBusy = (): boolean => actions.current > 0;
  const loader = useLoader({ view, address, visit, isBusy, body, heading });
  const verification = useVerification(session);
  const title = view?.title(route) ?? 'Not found';
  useNavigation(visit, title, heading);

  const page: Page = {
    session,
    verification,
    may: (role: Role) => ROLES.indexOf(role) <= ROLES.indexOf(session.role),
    go,
    reload: () => loader.load('draw'),
    say(tone, text) {
      setMessage({ visit, tone, text });
      announce(text);
    },
    ask: setQuestion,
    begin() {
      actions.current += 1;
      return () => {
        actions.current -= 1;
      };
    },
  };

  const isLoading = loader.isLoading && view !== undefined;
  return (
    <PageContext.Provider value={page}>
      <SkipLink to={heading} />
      <Header session={session} route={route} leave={leave} />
      <main id="main" tabIndex={-1}>
        <div class="title">
          <h1 tabIndex={-1} ref={heading}>
            {title}
          </h1>
          <Updates loader={loader} isOn={view !== undefined && view.refresh !== 'never'} isBusy={isBusy} />
        </div>
        <Status loader={loader} />
        <div class="view" key={visit} ref={body} aria-busy={isLoading ? 'true' : undefined}>
          {message?.visit === visit && <Notice tone={message.tone}>{message.text}</Notice>}
          <Boundary>
            <Content loader={loader} view={view} route={route} />
          </Boundary>
        </div>
      </main>
      {question !== undefined && <Dialog question={question} close={() => setQuestion(undefined)} />}
    </PageContext.Provider>
  );
}

interface Message {
  /** The message disappears when the person opens another view. */
  readonly visit: number;
  readonly tone: Tone;
  readonly text: string;
}

function SkipLink({ to }: { readonly to: RefObject<HTMLElement | null> }): VNode {
  return (
    // biome-ignore lint/a11y/useValidAnchor: a skip link, which must not change the address of the view
    <a
      class="skip"
      href="#main"
      onClick={(event) => {
        event.preventDefault();
        to.current?.focus();
      }}
    >
      Skip to content
    </a>
  );
}

interface UpdatesProps {
  readonly loader: Loader;
  readonly isOn: boolean;
  readonly isBusy: () => boolean;
}

/** When the view was loaded, and the controls to load it again. */
function Updates({ loader, isOn, isBusy }: UpdatesProps): VNode {
  const control = useUpdates({
    isOn,
    mustWait: () => document.querySelector('dialog') !== null || isBusy(),
    check: () => loader.load('check'),
  });
  return (
    <div class="updates">
      {loader.updatedAt !== undefined && <span class="muted">Updated {clock(loader.updatedAt)}</span>}
      <button type="button" class="quiet" onClick={() => loader.load('draw')}>
        Refresh
      </button>
      {isOn && control}
    </div>
  );
}

/** Why the shown data is not the newest. */
function Status({ loader }: { readonly loader: Loader }): VNode {
  const { shown, error, hasNewer, load } = loader;
  return (
    <div role="status">
      {shown !== undefined && error !== undefined && <Problem error={error} />}
      {hasNewer === true && error === undefined && (
        <Notice tone="plain">
          There are newer records.{' '}
          <button type="button" class="quiet" onClick={() => load('draw')}>
            Show new records
          </button>
        </Notice>
      )}
    </div>
  );
}

interface ContentProps {
  readonly loader: Loader;
  readonly view: View | undefined;
  readonly route: Route;
}

function Content({ loader: { shown, error }, view, route }: ContentProps): VNode {
  if (view === undefined)
    return (
      <Notice tone="plain">
        This page does not exist. <a href={link([])}>Overview</a>
      </Notice>
    );
  if (shown !== undefined) return <>{shown.element}</>;
  if (error === undefined) return <p class="loading">Loading…</p>;
  return (
    <>
      {view.form?.(route)}
      <Problem error={error} />
    </>
  );
}

interface HeaderProps extends Props {
  readonly route: Route;
}

function Header({ session, route, leave }: HeaderProps): VNode {
  const area = areaOf(route);
  return (
    <header class="top">
      <a href={link([])} class="brand">
        secretbridge
      </a>
      <nav aria-label="Main">
        <ul>
          {AREAS.map(({ name, path }) => (
            <li key={name}>
              <a href={link(path)} aria-current={(path[0] ?? '') === area ? 'page' : undefined}>
                {name}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <SearchBox text={route.query.q ?? ''} />
      <div class="account">
        <span class="person" title={session.name}>
          {session.name}
        </span>
        <span class="badge plain">{session.role}</span>
        {session.namespaces !== undefined && (
          <span class="person" title="The namespaces of this token">
            {session.namespaces.join(', ')}
          </span>
        )}
        <button type="button" class="quiet" onClick={() => void leave()}>
          Sign out
        </button>
      </div>
    </header>
  );
}

interface Location {
  readonly address: string;
  /** Counts the views that the person opened. */
  readonly visit: number;
  go(address: string): void;
}

function useLocation(): Location {
  const [current, setCurrent] = useState({ address: location.hash, visit: 0 });
  const show = (): void => setCurrent(({ visit }) => ({ address: location.hash, visit: visit + 1 }));
  useLayoutEffect(() => {
    addEventListener('hashchange', show);
    return () => removeEventListener('hashchange', show);
  }, []);
  const go = (address: string): void => {
    if (address === location.hash) show();
    else location.hash = address;
  };
  return { ...current, go };
}

function useNavigation(visit: number, title: string, heading: { current: HTMLElement | null }): void {
  useLayoutEffect(() => {
    document.title = `${title} – secretbridge`;
  }, [title]);
  useLayoutEffect(() => {
    scrollTo(0, 0);
    heading.current?.focus({ preventScroll: true });
  }, [visit]);
}
