export interface SoakOptions {
  readonly minutes: number;
  readonly targets: number;
  readonly seed: number;
  /** The path of the file for the results, as JSON. */
  readonly out: string | undefined;
  readonly keep: boolean;
  readonly report: (line: string) => void;
}

/** One line of the final table. */
export interface Check {
  readonly name: string;
  /** Undefined for a measurement without a limit. */
  readonly ok: boolean | undefined;
  readonly says: string;
}

export interface Result {
  readonly title: string;
  readonly checks: readonly Check[];
  /** The measurements, for programs that evaluate the results. */
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
