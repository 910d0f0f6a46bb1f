import { readFileSync, writeFileSync } from 'node:fs';

// Loaded with `node --import` into a program that ends by itself. At exit it saves the kernel's statistics about the
// process to a file, because they disappear with the process. `process.resourceUsage()` cannot be used: its `maxRSS`
// includes the maximum of the parent process.

process.on('exit', () => {
  const [stat, status] = ['stat', 'status'].map((name) => readFileSync(`/proc/self/${name}`, 'utf8'));
  writeFileSync(process.env.BENCH_USAGE ?? '', JSON.stringify({ stat, status }));
});
