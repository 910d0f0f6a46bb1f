// The route is stored in the URL fragment, which the browser does not send to the server.

/** @typedef {{ path: readonly string[], query: Record<string, string> }} Route */

/** @param {string} hash @returns {Route} */
export function parse(hash) {
  const [path = '', query = ''] = split(hash.replace(/^#\/?/, ''));
  return {
    path: path
      .split('/')
      .filter((part) => part !== '')
      .map(decode),
    query: Object.fromEntries([...new URLSearchParams(query)].filter(([, value]) => value !== '')),
  };
}

/** @param {string} text */
function split(text) {
  const at = text.indexOf('?');
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

/** @param {string} part */
function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    return part;
  }
}

/**
 * @param {readonly (string | number)[]} path
 * @param {Readonly<Record<string, string | number | undefined>>} [query]
 */
export function link(path, query = {}) {
  const present = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  const text = new URLSearchParams(present.map(([name, value]) => [name, String(value)])).toString();
  return `#/${path.map((part) => encodeURIComponent(part)).join('/')}${text === '' ? '' : `?${text}`}`;
}
