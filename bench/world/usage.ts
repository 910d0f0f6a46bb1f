import { readFile } from 'node:fs/promises';

/** What a process has used, by what the kernel says of it. */
export interface Usage {
  /** Of all its threads, since its start; to a hundredth of a second. */
  readonly cpuMs: number;
  readonly rssMb: number;
  /** The most that `rssMb` has been. */
  readonly maxRssMb: number;
}

/** The files `stat` and `status` of the kernel about a process, which are gone with it. */
export interface KernelFiles {
  readonly stat: string;
  readonly status: string;
}

/** Linux counts in hundredths of a second on every machine that Node runs on. */
const TICK_MS = 10;

export async function usageNow(pid: number): Promise<Usage> {
  const [stat, status] = await Promise.all([
    readFile(`/proc/${pid}/stat`, 'utf8'),
    readFile(`/proc/${pid}/status`, 'utf8'),
  ]);
  return usageOf({ stat, status });
}

export function usageOf({ stat, status }: KernelFiles): Usage {
  // The name of the program, in brackets, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const megabytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1_024;
  return {
    cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS,
    rssMb: megabytes('VmRSS'),
    maxRssMb: megabytes('VmHWM'),
  };
}
