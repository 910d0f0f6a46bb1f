/** Any operating system takes it as a path: one with a zero byte is none, and Node throws at it. */
export function isPath(text: string): boolean {
  return !text.includes('\0');
}

export const NOT_A_PATH = 'a path without zero bytes';
