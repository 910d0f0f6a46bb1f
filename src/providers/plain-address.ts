/** Without what may be a credential, or would be lost where paths are put behind it. */
export function isPlainAddress(address: string): boolean {
  const url = URL.parse(address); // null: already reported as no URL
  return url === null || (url.username === '' && url.password === '' && !/[?#]/.test(address));
}

export const NOT_PLAIN = 'an address without user, password, query and fragment';
