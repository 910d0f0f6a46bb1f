/** A text that the linter accepts all the same. At most twenty. */
export interface Exception {
  readonly file: string;
  /** A part of the line. */
  readonly text: string;
  readonly reason: string;
}

export const EXCEPTIONS: readonly Exception[] = [];
