export interface SoakOptions {
  readonly minutes: number;
  readonly targets: number;
  readonly seed: number;
  /** Where the results go as JSON. */
  readonly out: string | undefined;
  readonly keep: boolean;
  readonly report: (line: string) => void;
}

/** One line of the table at the end. */
export interface Check {
  readonly name: string;
  /** `undefined`: a figure, which cannot fail. */
  readonly ok: boolean | undefined;
  readonly says: string;
}

export interface Result {
  readonly title: string;
  readonly checks: readonly Check[];
  /** For machines. */
  readonly figures: Readonly<Record<string, unknown>>;
}

export function showResult({ title, checks }: Result): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  const lines = checks.map(({ name, ok, says }) => {
    const sign = ok === undefined ? '      ' : ok ? 'ok    ' : 'FAILED';
    return `${sign}  ${name.padEnd(width)}  ${says}`;
  });
  return `\n${title}\n${lines.join('\n')}\n`;
}
