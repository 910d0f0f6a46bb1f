/** Whether the operating system accepts the text as a path. Node throws on a path with a zero byte. */
export function isValidPath(text: string): boolean {
  return !text.includes('\0');
}

export const PATH_RULE = 'a path without zero bytes';

/** Whether the URL contains no credentials, and no part that would be lost when a path is appended. */
export function isPlainAddress(address: string): boolean {
  const url = URL.parse(address); // null: reported elsewhere as an invalid URL
  return url === null || (url.username === '' && url.password === '' && !/[?#]/.test(address));
}

export const PLAIN_ADDRESS_RULE = 'an address without user, password, query or fragment';
