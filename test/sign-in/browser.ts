/** What a browser does during a sign-in: it follows redirects and keeps cookies. It shows no pages. */
export interface Browser {
  /** Follows redirects until an answer is no redirect, or until the next address starts with `until`. */
  open(url: string, options?: OpenOptions): Promise<Page>;
  /** The cookies of all servers. They are on one host, so they share cookies. */
  readonly cookies: Map<string, string>;
}

export interface OpenOptions {
  readonly until?: string;
  readonly form?: Readonly<Record<string, string>>;
}

export interface Page {
  /** The last address. With `until`, it was not requested. */
  readonly url: string;
  readonly status: number;
  readonly text: string;
}

const MAX_REDIRECTS = 20;

export function createBrowser(): Browser {
  const cookies = new Map<string, string>();
  return {
    cookies,
    async open(url, { until, form } = {}) {
      let address = url;
      let body = form === undefined ? undefined : new URLSearchParams(form);
      for (let step = 0; step < MAX_REDIRECTS; step++) {
        if (until !== undefined && address.startsWith(until)) return { url: address, status: 0, text: '' };
        const answer = await fetch(address, {
          ...(body === undefined ? {} : { method: 'POST', body }),
          headers: { cookie: [...cookies].map((pair) => pair.join('=')).join('; '), accept: 'text/html' },
          redirect: 'manual',
        });
        keepCookies(cookies, answer.headers.getSetCookie());
        const location = answer.headers.get('location');
        const text = await answer.text();
        if (location === null) return { url: address, status: answer.status, text };
        address = new URL(location, address).href;
        body = undefined;
      }
      throw new Error('too many redirects');
    },
  };
}

export function keepCookies(cookies: Map<string, string>, headers: readonly string[]): void {
  for (const header of headers) {
    const [pair = '', ...attributes] = header.split(';').map((part) => part.trim());
    const [name = '', value = ''] = pair.split(/=(.*)/s);
    const isExpired = attributes.some((part) => /^max-age=0$|^expires=thu, 01 jan 1970/i.test(part));
    if (isExpired || value === '') cookies.delete(name);
    else cookies.set(name, value);
  }
}
