import { readFileSync, writeFileSync } from 'node:fs';

// `node --import` loads this file into a program that ends by itself. At exit, this file saves the kernel's statistics
// about the process, because the kernel deletes them when the process ends. `process.resourceUsage()` cannot be used:
// its `maxRSS` includes the maximum of the parent process.

process.on('exit', () => {
  const [stat, status] = ['stat', 'status'].map((name) => readFileSync(`/proc/self/${name}`, 'utf8'));
  writeFileSync(process.env.BENCH_USAGE ?? '', JSON.stringify({ stat, status }));
});
