/** Whether the URL contains no credentials, and no part that would be lost when a path is appended. */
export function isPlainAddress(address: string): boolean {
  const url = URL.parse(address); // null: reported elsewhere as an invalid URL
  return url === null || (url.username === '' && url.password === '' && !/[?#]/.test(address));
}

export const PLAIN_ADDRESS_RULE = 'an address without user, password, query or fragment';
