import { readFile } from 'node:fs/promises';

/** The resources of a process, as the kernel reports them. */
export interface Usage {
  /** CPU time of all threads since the start of the process. The resolution is 10 ms. */
  readonly cpuMs: number;
  readonly rssMb: number;
  /** The peak of `rssMb` since the start of the process. */
  readonly maxRssMb: number;
}

/** The contents of the kernel's files `/proc/PID/stat` and `/proc/PID/status`. */
export interface KernelFiles {
  readonly stat: string;
  readonly status: string;
}

/** The unit of CPU times in `stat`: 10 ms on every platform that Node supports. */
const TICK_MS = 10;

export async function usageNow(pid: number): Promise<Usage> {
  const [stat, status] = await Promise.all([
    readFile(`/proc/${pid}/stat`, 'utf8'),
    readFile(`/proc/${pid}/status`, 'utf8'),
  ]);
  return usageOf({ stat, status });
}

export function usageOf({ stat, status }: KernelFiles): Usage {
  // Skip the program name, which is in parentheses. The name itself can contain spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const megabytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1_024;
  return {
    cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS,
    rssMb: megabytes('VmRSS'),
    maxRssMb: megabytes('VmHWM'),
  };
}
