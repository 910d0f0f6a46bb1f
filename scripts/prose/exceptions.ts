/** A text that the linter accepts although it breaks a rule. At most twenty exceptions are allowed. */
export interface Exception {
  readonly file: string;
  /** A part of the line that breaks the rule. */
  readonly text: string;
  readonly reason: string;
}

export const EXCEPTIONS: readonly Exception[] = [];
