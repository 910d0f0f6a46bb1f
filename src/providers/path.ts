/** Whether the operating system accepts the text as a path. Node throws on a path with a zero byte. */
export function isValidPath(text: string): boolean {
  return !text.includes('\0');
}

export const PATH_RULE = 'a path without zero bytes';
